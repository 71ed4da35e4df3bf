// What `trimaran serve` sees of the instances in this process, which has no process for each.
//
// A memory file of the name `trimaran_instances` holds a record for each: since when it works on
// the same requests, the threads that run it, and its memory. `instances.py` reads it.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "session.h"
#include "triton_api.h"

namespace trimaran {

// One instance's, as it lies in the file.
struct Record {
  std::int64_t version;
  std::atomic<double> began_at;  // in seconds of the machine's monotonic clock; 0 between requests
  std::atomic<std::uint64_t> bytes;
  std::atomic<std::uint32_t> state;
  std::atomic<std::uint32_t> thread_count;
  std::atomic<std::int32_t> threads[248];  // the first is Triton's own for the instance
  char model[512];
  char instance[512];
};
static_assert(sizeof(Record) == 2048, "instances.py reads records of this size");

// The file, for as long as the backend is loaded. Where it cannot be made, nothing is shown.
class Board {
 public:
  Board() noexcept;
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  // A free record; none if all are taken.
  Record* take() noexcept;
  static void give_back(Record* record) noexcept;

 private:
  std::mutex mutex_;
  int file_ = -1;
  Record* records_ = nullptr;
};

// One instance's record, while the instance lives.
class Activity {
 public:
  // `session` is the one whose threads and memory the instance shows as its own, if any.
  Activity(Board& board, TRITONBACKEND_ModelInstance* instance, const Session* session) noexcept;
  ~Activity();
  Activity(const Activity&) = delete;
  Activity& operator=(const Activity&) = delete;

  // The work on some requests, in the thread that does it.
  class Work {
   public:
    explicit Work(Activity& activity) noexcept : activity_(activity) { activity_.begin(); }
    ~Work() { activity_.end(); }
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

   private:
    Activity& activity_;
  };

 private:
  void begin() noexcept;
  void end() noexcept;
  void show_session() noexcept;

  Record* const record_;
  const Session* const session_;
  double session_shown_at_ = 0.0;
};

}  // namespace trimaran
