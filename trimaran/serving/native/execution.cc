#include "execution.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "errors.h"

namespace trimaran {

namespace {

std::uint64_t now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

struct Times {
  std::uint64_t begin = 0;
  std::uint64_t compute_begin = 0;
  std::uint64_t compute_end = 0;
  std::uint64_t end = 0;
};

// A request on its way to its answer.
struct Job {
  TRITONBACKEND_Request* request = nullptr;
  std::vector<std::optional<Input>> inputs;  // in the order of the model's
  std::int64_t rows = 0;
  Times times;
  FromTriton<TRITONBACKEND_Response> response;
  FromTriton<TRITONSERVER_Error> error;
};

using Jobs = std::vector<Job*>;

// A run that answered requests.
struct Batch {
  std::uint64_t rows = 0;
  Times times;
};

// Messages of ONNX Runtime may have several lines.
FromTriton<TRITONSERVER_Error> on_one_line(FromTriton<TRITONSERVER_Error> error) {
  std::string text;
  for (const char* c = TRITONSERVER_ErrorMessage(error.get()); *c != '\0'; ++c) {
    const bool space = *c == ' ' || *c == '\n' || *c == '\r' || *c == '\t';
    if (!space) text += *c;
    if (space && !text.empty() && text.back() != ' ') text += ' ';
  }
  if (!text.empty() && text.back() == ' ') text.pop_back();
  return FromTriton<TRITONSERVER_Error>(
      TRITONSERVER_ErrorNew(TRITONSERVER_ErrorCode(error.get()), text.c_str()));
}

bool differ_in_rows_at_most(const Job& one, const Job& other) {
  for (std::size_t index = 0; index < one.inputs.size(); ++index) {
    const auto& a = one.inputs[index];
    const auto& b = other.inputs[index];
    if (a.has_value() != b.has_value()) return false;
    if (!a) continue;
    if (a->shape.size() != b->shape.size()) return false;
    if (!std::equal(a->shape.begin() + 1, a->shape.end(), b->shape.begin() + 1)) return false;
  }
  return true;
}

class Execution {
 public:
  Execution(const Model& model, const Session& session)
      : model_(model),
        session_(session),
        joins_(model.batches() && !model.inputs().empty()) {
    for (const ModelOutput& output : model.outputs()) {
      output_names_.push_back(output.name.c_str());
    }
  }

  void add(TRITONBACKEND_Request* request) {
    Job& job = jobs_.emplace_back();
    job.request = request;
    job.times.begin = now_ns();
    attempt(job, [&] { read(job); });
  }

  void run() {
    std::vector<Jobs> groups;
    for (Job& job : jobs_) {
      if (job.error != nullptr) continue;
      const auto joined = std::find_if(groups.begin(), groups.end(), [&](const Jobs& group) {
        return joins_ && differ_in_rows_at_most(*group.front(), job);
      });
      if (joined != groups.end()) {
        joined->push_back(&job);
      } else {
        groups.push_back({&job});
      }
    }
    for (const Jobs& group : groups) run(group);
  }

  // Reports first, so that whoever has an answer finds it counted.
  void finish(TRITONBACKEND_ModelInstance* instance) noexcept {
    for (const auto& [rows, times] : batches_) {
      log_if_failed(
          TRITONBACKEND_ModelInstanceReportBatchStatistics(
              instance, rows, times.begin, times.compute_begin, times.compute_end, times.end),
          __FILE__, __LINE__);
    }
    for (Job& job : jobs_) {
      const Times& times = job.times;
      log_if_failed(
          TRITONBACKEND_ModelInstanceReportStatistics(
              instance, job.request, job.error == nullptr, times.begin, times.compute_begin,
              times.compute_end, times.end),
          __FILE__, __LINE__);
      log_if_failed(send(job), __FILE__, __LINE__);
      log_if_failed(
          TRITONBACKEND_RequestRelease(job.request, kReleaseAll), __FILE__, __LINE__);
    }
  }

  void reserve(std::uint32_t count) { jobs_.reserve(count); }

 private:
  // Whether `action` succeeded; the job has the error otherwise.
  template <typename Action>
  static bool attempt(Job& job, Action&& action) {
    FromTriton<TRITONSERVER_Error> error(guarded(action));
    if (error == nullptr) return true;
    job.response.reset();
    job.error = on_one_line(std::move(error));
    return false;
  }

  void read(Job& job) const {
    job.inputs.resize(model_.inputs().size());
    std::optional<std::int64_t> rows;
    for (std::size_t index = 0; index < job.inputs.size(); ++index) {
      const ModelInput& wanted = model_.inputs()[index];
      TRITONBACKEND_Input* found = nullptr;
      FromTriton<TRITONSERVER_Error> missing(
          TRITONBACKEND_RequestInput(job.request, wanted.name.c_str(), &found));
      if (missing != nullptr && wanted.optional) continue;
      check(missing.release());
      const Input& input = job.inputs[index].emplace(read_input(found));
      if (!joins_) continue;
      if (input.shape.empty() || input.shape.front() != rows.value_or(input.shape.front())) {
        throw Failure(
            "input '" + wanted.name + "' has another number of rows than the other inputs",
            ErrorCode::invalid_arg);
      }
      rows = input.shape.front();
    }
    job.rows = rows.value_or(0);
  }

  void run(const Jobs& group) {
    std::vector<Output> outputs;
    Times times;
    times.begin = group.front()->times.begin;
    FromTriton<TRITONSERVER_Error> error(guarded([&] { outputs = outputs_of(group, times); }));
    if (error != nullptr && group.size() > 1) {
      for (Job* job : group) run(Jobs{job});
      return;
    }
    if (error != nullptr) {
      group.front()->error = on_one_line(std::move(error));
      return;
    }
    std::int64_t row = 0;
    bool answered = false;
    for (Job* job : group) {
      answered |= attempt(*job, [&] { respond(*job, outputs, row); });
      row += job->rows;
    }
    times.end = now_ns();
    for (Job* job : group) job->times = times;
    if (answered) {
      const std::int64_t rows = joins_ ? row : 1;
      batches_.push_back({static_cast<std::uint64_t>(rows), times});
    }
  }

  std::vector<Output> outputs_of(const Jobs& group, Times& times) const {
    std::vector<const char*> names;
    std::vector<Feed> feeds;
    std::vector<const Input*> parts(group.size());
    for (std::size_t index = 0; index < model_.inputs().size(); ++index) {
      if (!group.front()->inputs[index]) continue;
      for (std::size_t part = 0; part < group.size(); ++part) {
        parts[part] = &*group[part]->inputs[index];
      }
      names.push_back(model_.inputs()[index].name.c_str());
      feeds.emplace_back(parts, model_.inputs()[index].scalar);
    }
    times.compute_begin = now_ns();
    std::vector<Output> outputs = session_.run(names, feeds, output_names_);
    times.compute_end = now_ns();
    if (joins_) require_rows(outputs, group);
    return outputs;
  }

  void require_rows(const std::vector<Output>& outputs, const Jobs& group) const {
    std::int64_t rows = 0;
    for (const Job* job : group) rows += job->rows;
    for (std::size_t index = 0; index < outputs.size(); ++index) {
      const Shape& shape = outputs[index].shape();
      if (!shape.empty() && shape.front() == rows) continue;
      throw Failure(
          "failed to split the output tensor '" + model_.outputs()[index].name +
          "' in responses: expected batch size of " + std::to_string(rows) +
          " in model output, got shape " + to_string(shape));
    }
  }

  // Writes a job's rows, which begin at `row`, into a new response.
  void respond(Job& job, const std::vector<Output>& outputs, std::int64_t row) const {
    TRITONBACKEND_Response* made = nullptr;
    check(TRITONBACKEND_ResponseNew(&made, job.request));
    job.response.reset(made);
    std::uint32_t count = 0;
    check(TRITONBACKEND_RequestOutputCount(job.request, &count));
    for (std::uint32_t index = 0; index < count; ++index) {
      const char* name = nullptr;
      check(TRITONBACKEND_RequestOutputName(job.request, index, &name));
      const std::size_t place = model_.output(name);
      write(job, outputs[place], model_.outputs()[place], row);
    }
  }

  void write(
      const Job& job, const Output& output, const ModelOutput& wanted, std::int64_t row) const {
    Shape shape = output.shape();
    std::size_t first = 0;
    std::size_t count = 0;
    if (joins_) {
      const std::size_t per_row = element_count(shape, 1);
      first = product(static_cast<std::size_t>(row), per_row);
      count = product(static_cast<std::size_t>(job.rows), per_row);
      shape.front() = job.rows;
    } else {
      count = element_count(shape);
      if (shape.empty()) shape = wanted.scalar_shape;
    }
    const std::size_t size = output.byte_size(first, count);
    TRITONBACKEND_Output* made = nullptr;
    check(TRITONBACKEND_ResponseOutput(
        job.response.get(), &made, wanted.name.c_str(), output.type().triton, shape.data(),
        static_cast<std::uint32_t>(shape.size())));
    void* buffer = nullptr;
    MemoryType memory = MemoryType::cpu;
    std::int64_t device = 0;
    check(TRITONBACKEND_OutputBuffer(made, &buffer, size, &memory, &device));
    if (memory == MemoryType::gpu) {
      throw Failure(
          "output '" + wanted.name + "' is wanted in the memory of a GPU, and this backend runs on "
          "the CPU");
    }
    output.write(first, count, static_cast<char*>(buffer));
  }

  static TRITONSERVER_Error* send(Job& job) noexcept {
    if (job.response == nullptr) {
      TRITONBACKEND_Response* made = nullptr;
      if (TRITONSERVER_Error* error = TRITONBACKEND_ResponseNew(&made, job.request)) return error;
      job.response.reset(made);
    }
    // Triton takes the response, and leaves the error.
    return TRITONBACKEND_ResponseSend(job.response.release(), kFinalResponse, job.error.get());
  }

  const Model& model_;
  const Session& session_;
  const bool joins_;
  std::vector<const char*> output_names_;
  std::vector<Job> jobs_;
  std::vector<Batch> batches_;
};

}  // namespace

void execute(
    TRITONBACKEND_ModelInstance* instance, const Model& model, const Session& session,
    TRITONBACKEND_Request** requests, std::uint32_t count) {
  Execution execution(model, session);
  execution.reserve(count);
  for (std::uint32_t index = 0; index < count; ++index) execution.add(requests[index]);
  execution.run();
  execution.finish(instance);
}

}  // namespace trimaran
