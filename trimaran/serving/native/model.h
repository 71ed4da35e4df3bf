// One version of a model, and what all its instances share.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "config.h"
#include "session.h"

namespace trimaran {

struct ModelInput {
  std::string name;
  bool scalar = false;    // the model takes it without axes
  bool optional = false;  // a weight of the model stands in where a request leaves it out
};

struct ModelOutput {
  std::string name;
  Shape scalar_shape;  // with which a scalar is answered
};

class Model {
 public:
  // Opens the model's file, completes its configuration where Triton asks for that, and compares
  // both. Throws a Failure where it cannot be served.
  Model(TRITONBACKEND_Model* model, const OrtEnv* env, std::int64_t default_batch_size);

  struct Lease {
    std::shared_ptr<const Session> session;
    bool first = true;  // of the instances that share it
  };

  // A session for one more instance, or the one that all share.
  Lease session();

  bool batches() const noexcept { return batches_; }
  const std::vector<ModelInput>& inputs() const noexcept { return inputs_; }
  const std::vector<ModelOutput>& outputs() const noexcept { return outputs_; }
  // Where an output is in `outputs`. Throws a Failure where there is none of that name.
  std::size_t output(const std::string& name) const;

 private:
  TRITONBACKEND_Model* const model_;
  const OrtEnv* const env_;
  std::string directory_;
  bool batches_ = false;
  bool shares_session_ = false;
  std::vector<ModelInput> inputs_;
  std::vector<ModelOutput> outputs_;
  std::mutex mutex_;
  std::shared_ptr<const Session> first_;
  bool leased_ = false;
};

}  // namespace trimaran
