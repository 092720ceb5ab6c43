#include "runner/capture/recording.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "runner/base/file.h"
#include "runner/capture/probe_protocol.h"
#include "runner/capture/recorded_run.h"

namespace crashcrawler {
namespace {

// Beyond RLIMIT_FSIZE the kernel does not only refuse, it sends SIGXFSZ (setrlimit(2)), which would
// end us and with us the run.
bool is_beyond_file_size_limit(int fd, size_t more) {
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  const off_t at = ::lseek(fd, 0, SEEK_CUR);
  return limit.rlim_cur != RLIM_INFINITY && static_cast<rlim_t>(at) + more > limit.rlim_cur;
}

Result<void> append_to(int fd, std::string_view bytes, const std::string& path) {
  if (is_beyond_file_size_limit(fd, bytes.size())) {
    errno = EFBIG;
    return errno_error("cannot write " + path);
  }
  return write_all(fd, bytes, path);
}

// Emptied only when it is known to be a regular file of ours.
Result<UniqueFd> open_private_file(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    return errno_error("cannot create " + path);
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{"cannot record to " + path + ": it is not a regular file"};
  }
  if (::fchmod(file.get(), 0600) != 0 || ::ftruncate(file.get(), 0) != 0) {
    return errno_error("cannot make " + path + " a private file");
  }
  return file;
}

}  // namespace

Result<Recording> Recording::create(const std::string& path, const Session& session,
                                    const Circumstances& circumstances) {
  Result<UniqueFd> file = open_private_file(path);
  if (!file) {
    return file.error();
  }
  Recording recording;
  recording.file_ = std::move(*file);
  recording.path_ = path;
  recording.append(kRecordingMagic);
  recording.append_text(kRunMessage, run_to_text(session, circumstances));
  if (!recording.written_) {
    return recording.written_.error();
  }
  return recording;
}

void Recording::append(std::string_view messages) {
  if (file_ && written_) {
    written_ = append_to(file_.get(), messages, path_);
  }
}

void Recording::append_text(uint16_t type, std::string_view text) {
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, kMaxTextBytes);
    text.remove_prefix(piece.size());
    const MessageHeader header{type, kProtocolVersion,
                               static_cast<uint32_t>(sizeof header + piece.size())};
    std::string message(reinterpret_cast<const char*>(&header), sizeof header);
    append(message.append(piece));
  }
}

Result<void> Recording::end(const Session& session, const std::string& not_captured) {
  append_text(kOutcomeMessage, outcome_to_text(session, not_captured));
  // a full disk may show only here (close(2), NFS and quotas)
  if (file_ && written_ && ::close(file_.release()) != 0) {
    written_ = errno_error("cannot write " + path_);
  }
  file_.reset();
  if (!written_) {
    return written_.error().in("the recording is cut");
  }
  return {};
}

}  // namespace crashcrawler
