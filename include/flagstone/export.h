// Which symbols the shared library shows. Everything else is hidden.
#ifndef FLAGSTONE_EXPORT_H_
#define FLAGSTONE_EXPORT_H_

#define FLAGSTONE_EXPORT __attribute__((visibility("default")))

#endif  // FLAGSTONE_EXPORT_H_
