// Requests that wait together are answered by one run of the model.
#pragma once

#include <cstdint>

#include "model.h"
#include "session.h"
#include "triton_api.h"

namespace trimaran {

// Answers all requests, reports their statistics and releases them.
//
// Where the model batches, requests of equal shape are joined along the first axis; if the joined
// run fails, each is tried alone, so that a request with a bad value fails by itself. What is
// thrown leaves the requests as they were.
void execute(
    TRITONBACKEND_ModelInstance* instance, const Model& model, const Session& session,
    TRITONBACKEND_Request** requests, std::uint32_t count);

}  // namespace trimaran
