#include "tools/flagstone/line_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "tools/flagstone/terminal.h"

namespace flagstone::tool {
namespace {

Status CallFailed(const char* call, const std::string& path, int error, const char* way_out) {
  return Status::Error(StatusCode::kIoError, Escaped(path, 400) + ": " + call + ": " +
                                                 std::strerror(error) + " (errno " +
                                                 std::to_string(error) + ")" + way_out);
}

const char* WayOutOf(int error) {
  switch (error) {
    case ENOENT: return "; check the name";
    case EACCES: return "; check its permissions and those of the folders above it";
    default: return "";
  }
}

}  // namespace

Result<LineReader> LineReader::Open(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return CallFailed("open", path, errno, WayOutOf(errno));
  struct stat about;
  if (fstat(file, &about) != 0) {
    const int error = errno;
    close(file);
    return CallFailed("fstat", path, error, "");
  }
  if (!S_ISREG(about.st_mode) && !S_ISFIFO(about.st_mode)) {
    close(file);
    const char* const what = S_ISDIR(about.st_mode) ? "a directory" : "a device or socket";
    return Status::Error(StatusCode::kInvalidArgument, Escaped(path, 400) + " is " + what +
                                                           ", wanted is a file or a pipe of lines");
  }
  return LineReader(path, file, S_ISREG(about.st_mode) ? static_cast<uint64_t>(about.st_size) : 0);
}

LineReader::LineReader(std::string path, int file, uint64_t file_bytes)
    : path_(std::move(path)),
      file_(file),
      file_bytes_(file_bytes),
      buffer_(std::make_unique<char[]>(kBufferBytes)) {}

LineReader::LineReader(LineReader&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      file_bytes_(other.file_bytes_),
      buffer_(std::move(other.buffer_)),
      begin_(other.begin_),
      end_(other.end_),
      line_number_(other.line_number_),
      bytes_read_(other.bytes_read_) {}

LineReader::~LineReader() {
  if (file_ >= 0) close(file_);
}

Result<bool> LineReader::Fill() {
  std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  for (;;) {
    const ssize_t got = read(file_, buffer_.get() + end_, kBufferBytes - end_);
    if (got >= 0) {
      end_ += static_cast<size_t>(got);
      return got > 0;
    }
    if (errno != EINTR) return CallFailed("read", path_, errno, "");
  }
}

Result<LineReader::Step> LineReader::Next(std::string_view* line) {
  size_t searched = 0;  // unread bytes that hold no newline
  bool skipping = false;
  for (;;) {
    const char* const start = buffer_.get() + begin_;
    const void* const newline = std::memchr(start + searched, '\n', end_ - begin_ - searched);
    if (newline == nullptr && end_ - begin_ > kLineBytesMax) {
      skipping = true;
      bytes_read_ += end_ - begin_;
      begin_ = end_;
    }
    if (newline == nullptr) {
      searched = end_ - begin_;
      Result<bool> more = Fill();
      if (!more.ok()) return std::move(more).status();
      if (*more) continue;
      if (searched == 0 && !skipping) return Step::kEnd;
    }
    const bool at_end = newline == nullptr;
    const char* const unread = buffer_.get() + begin_;
    size_t length =
        at_end ? end_ - begin_ : static_cast<size_t>(static_cast<const char*>(newline) - unread);
    const size_t consumed = at_end ? length : length + 1;
    begin_ += consumed;
    bytes_read_ += consumed;
    ++line_number_;
    if (skipping || length > kLineBytesMax) return Step::kTooLong;
    if (length > 0 && unread[length - 1] == '\r') --length;
    *line = std::string_view(unread, length);
    return Step::kLine;
  }
}

}  // namespace flagstone::tool
