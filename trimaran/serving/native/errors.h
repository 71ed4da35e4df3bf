// Failures: exceptions inside of this library, error objects at its borders.
#pragma once

#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "triton_api.h"

namespace trimaran {

class Failure : public std::runtime_error {
 public:
  explicit Failure(const std::string& message, ErrorCode code = ErrorCode::internal)
      : std::runtime_error(message), code_(code) {}

  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

struct TritonRelease {
  void operator()(TRITONSERVER_Error* error) const noexcept { TRITONSERVER_ErrorDelete(error); }
  void operator()(TRITONSERVER_Message* message) const noexcept {
    std::unique_ptr<TRITONSERVER_Error, TritonRelease>(TRITONSERVER_MessageDelete(message));
  }
  void operator()(TRITONBACKEND_Response* response) const noexcept {
    std::unique_ptr<TRITONSERVER_Error, TritonRelease>(TRITONBACKEND_ResponseDelete(response));
  }
};

// What this library owns of Triton's.
template <typename T>
using FromTriton = std::unique_ptr<T, TritonRelease>;

// Throws a Failure where Triton returned an error.
inline void check(TRITONSERVER_Error* error) {
  if (error == nullptr) return;
  const FromTriton<TRITONSERVER_Error> owned(error);
  throw Failure(TRITONSERVER_ErrorMessage(error), TRITONSERVER_ErrorCode(error));
}

// Logs an error after which nothing is left to do.
inline void log_if_failed(TRITONSERVER_Error* error, const char* file, int line) noexcept {
  if (error == nullptr) return;
  const FromTriton<TRITONSERVER_Error> owned(error);
  const FromTriton<TRITONSERVER_Error> unlogged(TRITONSERVER_LogMessage(
      LogLevel::error, file, line, TRITONSERVER_ErrorMessage(error)));
}

// Runs `action`, and turns what it throws into an error object: no exception leaves this library.
template <typename Action>
TRITONSERVER_Error* guarded(Action&& action) noexcept {
  try {
    action();
    return nullptr;
  } catch (const Failure& failure) {
    return TRITONSERVER_ErrorNew(failure.code(), failure.what());
  } catch (const std::bad_alloc&) {
    return TRITONSERVER_ErrorNew(ErrorCode::unavailable, "out of memory");
  } catch (const std::exception& error) {
    return TRITONSERVER_ErrorNew(ErrorCode::internal, error.what());
  } catch (...) {
    return TRITONSERVER_ErrorNew(ErrorCode::internal, "an unknown exception");
  }
}

}  // namespace trimaran
