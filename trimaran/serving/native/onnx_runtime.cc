#include "onnx_runtime.h"

#include <dlfcn.h>

#include <optional>

#include "errors.h"

namespace trimaran {

namespace {

struct ApiBase {
  const void* (*GetApi)(std::uint32_t version);
  const char* (*GetVersionString)();
};

std::optional<OnnxRuntime> loaded;

}  // namespace

void load_onnx_runtime(const std::string& path) {
  if (loaded) return;
  if (path.empty()) {
    throw Failure("ONNX Runtime is not known; give --backend-config=onnxruntime,library=FILE");
  }
  // It is never closed: its threads may end after the last session.
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* reason = dlerror();
    throw Failure("ONNX Runtime cannot be loaded: " + std::string(reason ? reason : path));
  }
  void* symbol = dlsym(library, "OrtGetApiBase");
  if (symbol == nullptr) throw Failure(path + " is not ONNX Runtime: it lacks OrtGetApiBase");
  const ApiBase* base = reinterpret_cast<const ApiBase* (*)()>(symbol)();
  const void* table = base->GetApi(OnnxRuntime::kApiVersion);
  if (table == nullptr) {
    throw Failure(
        "ONNX Runtime " + std::string(base->GetVersionString()) + " at " + path +
        " lacks version " + std::to_string(OnnxRuntime::kApiVersion) +
        " of its interface; install a newer onnxruntime");
  }
  loaded.emplace(table);
}

const OnnxRuntime& ort() noexcept { return *loaded; }

void check(OrtStatus* status) {
  if (status == nullptr) return;
  const FromOrt<OrtStatus> owned(status);
  throw Failure(
      "onnx runtime error " + std::to_string(ort().GetErrorCode(status)) + ": " +
      ort().GetErrorMessage(status));
}

OrtAllocator* default_allocator() {
  OrtAllocator* found = nullptr;
  check(ort().GetAllocatorWithDefaultOptions(&found));
  return found;
}

}  // namespace trimaran
