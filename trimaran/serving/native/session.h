// A model's file, opened by ONNX Runtime.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config.h"
#include "contract.h"
#include "onnx_runtime.h"
#include "tensors.h"

namespace trimaran {

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

 private:
  FromOrt<OrtSession> session_;
  FromOrt<OrtRunOptions> run_options_;
};

}  // namespace trimaran
