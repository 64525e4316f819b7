// Bugs that the store once had, each as a scene that would show it again: what the tests of the
// whole store and the planted-bug tests share.
//
// Errors      Each returns "", or what was wrong.
#ifndef FLAGSTONE_TESTS_SUPPORT_STORE_FEARS_H_
#define FLAGSTONE_TESTS_SUPPORT_STORE_FEARS_H_

#include <chrono>
#include <string>

#include "flagstone/page_options.h"

namespace flagstone::testkit {

// CompactStorage() ends within `limit` while other threads go on changing records.
std::string CompactBesideWriters(std::chrono::milliseconds limit);

// The same while a reader is in the middle of a call, which each cycle waits for in vain.
std::string CompactBesideAPinnedReader(std::chrono::milliseconds limit);

// While CompactStorage() works on a large sparse store, sessions are opened and records are
// changed: far more than what the longest wait of a maintenance cycle allows. Numbers of both in
// *text.
std::string CompactBesideNewSessions(std::string* text);

// Every state within history_retention can be read, and one before it is refused, not guessed.
std::string ReadStatesOfThePast();

// The limit on version bytes gives up the snapshot that keeps them, not one that just began.
std::string BeginWhileAnOldSnapshotIsCut();

// A session's second snapshot does not inherit the age of its first, though both read the same
// timestamp.
std::string BeginAgainAtTheSameTimestamp();

// One snapshot is given up in a store that then commits nothing: later ones of that session,
// however many, are not.
std::string BeginOftenAfterACut();

// The memory of an empty slab stays while a guard names one of its slots, and goes when it ends.
std::string GuardASlotOfAnEmptySlab();

// Sessions that end leave nothing of what they held in advance behind.
std::string EndManySessions();

// Of extents that hold few records the empty pages go back to the system, also on transparent huge
// pages; the records stay, IDs of deleted ones stay absent, and the slots are used again for later
// ticks, within the memory limit.
std::string SplitSparseExtents(PageKind kind);

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_STORE_FEARS_H_
