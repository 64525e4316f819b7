// Which sanitizer a test program was built with: some of them change what the system does.
#ifndef FLAGSTONE_TESTS_SUPPORT_SANITIZER_H_
#define FLAGSTONE_TESTS_SUPPORT_SANITIZER_H_

namespace flagstone::testkit {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_SANITIZER_H_
