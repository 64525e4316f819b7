// What happens when flagstone finds one of its own invariants broken.
//
// The library never stops the process for bad input or bad bytes; it does when its own state makes
// no sense, because going on could damage data. The host may install a handler (to flush its logs,
// to raise its own crash report); when the handler returns, the process is aborted.
#ifndef FLAGSTONE_CHECK_H_
#define FLAGSTONE_CHECK_H_

#include "flagstone/export.h"

namespace flagstone {

// `message` holds the broken condition and its numbers; valid during the call only.
using CheckHandler = void (*)(const char* file, int line, const char* message);

// Installs a handler and returns the one before (nullptr: the default, which writes one line to
// stderr). Any thread; affects the whole process.
FLAGSTONE_EXPORT CheckHandler SetCheckHandler(CheckHandler handler);

}  // namespace flagstone

#endif  // FLAGSTONE_CHECK_H_
