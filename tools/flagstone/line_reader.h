// LineReader: the lines of a file nobody vouches for.
//
// Place       Under the importer. Reads with one buffer of fixed size, whatever the file holds.
// Invariants  1. Memory is bounded: a line longer than kLineBytesMax is skipped, not stored.
//             2. Every byte belongs to exactly one line; the last one may lack its newline.
// Threads     One.
// Errors      Open(), Next(): IO_ERROR with the call, the path and errno; INVALID_ARGUMENT for what
//             is no file or pipe.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_LINE_READER_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_LINE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "flagstone/status.h"

namespace flagstone::tool {

class LineReader {
 public:
  // Two IPv6 addresses and a country need 82 bytes; comments may be prose.
  static constexpr size_t kLineBytesMax = 4096;

  enum class Step : uint8_t { kLine, kTooLong, kEnd };

  static Result<LineReader> Open(const std::string& path);
  LineReader(LineReader&& other) noexcept;
  LineReader& operator=(LineReader&&) = delete;
  ~LineReader();

  // kLine: `*line` without its newline (and without a carriage return before it), valid until the
  // next call. kTooLong: it was skipped.
  Result<Step> Next(std::string_view* line);

  // Of the line last returned; the first is 1.
  uint64_t line_number() const { return line_number_; }
  // Consumed so far, and of the whole file; the latter is 0 for a pipe.
  uint64_t bytes_read() const { return bytes_read_; }
  uint64_t file_bytes() const { return file_bytes_; }
  const std::string& path() const { return path_; }

 private:
  static constexpr size_t kBufferBytes = 256 * 1024;
  static_assert(kBufferBytes >= 2 * kLineBytesMax);

  LineReader(std::string path, int file, uint64_t file_bytes);
  // Moves what is unread to the buffer's start and reads behind it. False at the end of the file.
  Result<bool> Fill();

  std::string path_;
  int file_;
  uint64_t file_bytes_;
  std::unique_ptr<char[]> buffer_;
  size_t begin_ = 0;  // unread bytes: [begin_, end_)
  size_t end_ = 0;
  uint64_t line_number_ = 0;
  uint64_t bytes_read_ = 0;
};

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_LINE_READER_H_
