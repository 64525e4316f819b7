#include "flagstone/version.h"

#define FLAGSTONE_TEXT_OF_EXPANDED(number) #number
#define FLAGSTONE_TEXT_OF(number) FLAGSTONE_TEXT_OF_EXPANDED(number)

namespace flagstone {

const char* Version() {
  return FLAGSTONE_TEXT_OF(FLAGSTONE_VERSION_MAJOR) "." FLAGSTONE_TEXT_OF(
      FLAGSTONE_VERSION_MINOR) "." FLAGSTONE_TEXT_OF(FLAGSTONE_VERSION_PATCH);
}

}  // namespace flagstone
