// A model's file, opened by ONNX Runtime.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "config.h"
#include "contract.h"
#include "onnx_runtime.h"
#include "tensors.h"

namespace trimaran {

// The kernel's number of the thread that asks.
std::int32_t thread_id() noexcept;

// The threads that ONNX Runtime makes for one session, by the kernel's numbers.
class SessionThreads {
 public:
  // Has them made by this library. It must outlive the session.
  void follow(OrtSessionOptions* options);
  std::vector<std::int32_t> ids() const;

 private:
  void add(std::int32_t id);
  static void* make(void* threads, void (*loop)(void*), void* argument) noexcept;
  static void join(void* thread) noexcept;

  mutable std::mutex mutex_;
  std::vector<std::int32_t> ids_;
};

class Session {
 public:
  // Opens the file of a version's directory. Throws a Failure where a parameter has a value that is
  // refused, the file is missing, or ONNX Runtime refuses it.
  Session(const OrtEnv* env, const ModelConfig& config, const std::string& version_directory);

  // Throws a Failure where an input or output is no tensor.
  Interface interface() const;

  // Several threads may run it. `inputs` are in the order of `input_names`, and the outputs in that
  // of `output_names`. Throws a Failure with ONNX Runtime's words.
  std::vector<Output> run(
      const std::vector<const char*>& input_names, const std::vector<Feed>& inputs,
      const std::vector<const char*>& output_names) const;

  std::vector<std::int32_t> threads() const { return threads_.ids(); }
  // The most bytes that it held at once; 0 where it allocates without an arena.
  std::uint64_t memory() const;

 private:
  SessionThreads threads_;
  FromOrt<OrtSession> session_;
  FromOrt<OrtAllocator> allocator_;
  FromOrt<OrtRunOptions> run_options_;
};

}  // namespace trimaran
