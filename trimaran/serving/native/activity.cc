#include "activity.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <iterator>

#include "errors.h"

namespace trimaran {

namespace {

constexpr const char* kBoardName = "trimaran_instances";
constexpr std::size_t kRecords = 512;
constexpr double kSessionEvery = 1.0;  // in seconds
enum State : std::uint32_t { kFree, kTaken, kShown };

double seconds_since_boot() noexcept {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

template <std::size_t size>
void copy_text(const char* text, char (&to)[size]) noexcept {
  std::memset(to, 0, size);
  std::memcpy(to, text, std::min(std::strlen(text), size - 1));
}

}  // namespace

Board::Board() noexcept : file_(memfd_create(kBoardName, MFD_CLOEXEC)) {
  constexpr std::size_t kSize = kRecords * sizeof(Record);
  if (file_ < 0 || ftruncate(file_, kSize) != 0) return;
  void* const memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (memory != MAP_FAILED) records_ = static_cast<Record*>(memory);
}

Board::~Board() {
  if (records_ != nullptr) munmap(records_, kRecords * sizeof(Record));
  if (file_ >= 0) close(file_);
}

Record* Board::take() noexcept {
  if (records_ == nullptr) return nullptr;
  const std::lock_guard<std::mutex> lock(mutex_);
  Record* const end = records_ + kRecords;
  Record* const found = std::find_if(
      records_, end, [](const Record& record) { return record.state == kFree; });
  if (found == end) return nullptr;
  found->state = kTaken;
  return found;
}

void Board::give_back(Record* record) noexcept { record->state = kFree; }

Activity::Activity(
    Board& board, TRITONBACKEND_ModelInstance* instance, const Session* session) noexcept
    : record_(board.take()), session_(session) {
  if (record_ == nullptr) return;
  const FromTriton<TRITONSERVER_Error> unknown(guarded([&] {
    TRITONBACKEND_Model* model = nullptr;
    const char* model_name = nullptr;
    const char* instance_name = nullptr;
    std::uint64_t version = 0;
    check(TRITONBACKEND_ModelInstanceModel(instance, &model));
    check(TRITONBACKEND_ModelName(model, &model_name));
    check(TRITONBACKEND_ModelVersion(model, &version));
    check(TRITONBACKEND_ModelInstanceName(instance, &instance_name));
    copy_text(model_name, record_->model);
    copy_text(instance_name, record_->instance);
    record_->version = static_cast<std::int64_t>(version);
    record_->began_at = 0.0;
    record_->bytes = 0;
    record_->threads[0] = 0;
    record_->thread_count = 1;
    show_session();
    record_->state = kShown;
  }));
}

Activity::~Activity() {
  if (record_ != nullptr) Board::give_back(record_);
}

void Activity::begin() noexcept {
  if (record_ == nullptr) return;
  record_->threads[0] = thread_id();
  record_->began_at = seconds_since_boot();
}

void Activity::end() noexcept {
  if (record_ == nullptr) return;
  record_->began_at = 0.0;
  const double now = seconds_since_boot();
  if (now - session_shown_at_ < kSessionEvery) return;
  session_shown_at_ = now;
  show_session();
}

void Activity::show_session() noexcept {
  if (session_ == nullptr) return;
  const FromTriton<TRITONSERVER_Error> unknown(guarded([&] {
    record_->bytes = session_->memory();
    std::uint32_t count = 1;
    for (const std::int32_t id : session_->threads()) {
      if (count == std::size(record_->threads)) break;
      record_->threads[count++] = id;
    }
    record_->thread_count = count;
  }));
}

}  // namespace trimaran
