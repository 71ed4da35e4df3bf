// Triton's backend interface, version 1.19: what this backend calls of it.
//
// The functions are found in the tritonserver that loads this library; nothing is linked.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trimaran {

constexpr std::uint32_t kApiMajor = 1;
constexpr std::uint32_t kApiMinor = 19;

enum class ErrorCode : int { unknown, internal, not_found, invalid_arg, unavailable, unsupported };
enum class LogLevel : int { info, warn, error, verbose };
enum class MemoryType : int { cpu, cpu_pinned, gpu };
enum class InstanceKind : int { automatic, cpu, gpu, model };
enum class DataType : int {
  invalid, boolean, uint8, uint16, uint32, uint64, int8, int16, int32, int64, fp16, fp32, fp64,
  bytes, bf16
};

constexpr std::uint32_t kFinalResponse = 1;
constexpr std::uint32_t kReleaseAll = 1;
constexpr std::uint32_t kConfigVersion = 1;

}  // namespace trimaran

struct TRITONSERVER_Error;
struct TRITONSERVER_Message;
struct TRITONBACKEND_Backend;
struct TRITONBACKEND_BackendAttribute;
struct TRITONBACKEND_Input;
struct TRITONBACKEND_Model;
struct TRITONBACKEND_ModelInstance;
struct TRITONBACKEND_Output;
struct TRITONBACKEND_Request;
struct TRITONBACKEND_Response;

extern "C" {

using TritonError = TRITONSERVER_Error*;

TritonError TRITONSERVER_ErrorNew(trimaran::ErrorCode, const char* message);
void TRITONSERVER_ErrorDelete(TRITONSERVER_Error*);
trimaran::ErrorCode TRITONSERVER_ErrorCode(TRITONSERVER_Error*);
const char* TRITONSERVER_ErrorMessage(TRITONSERVER_Error*);
TritonError TRITONSERVER_LogMessage(
    trimaran::LogLevel, const char* file, int line, const char* message);

TritonError TRITONSERVER_MessageNewFromSerializedJson(
    TRITONSERVER_Message**, const char* json, std::size_t size);
TritonError TRITONSERVER_MessageSerializeToJson(
    TRITONSERVER_Message*, const char** json, std::size_t* size);
TritonError TRITONSERVER_MessageDelete(TRITONSERVER_Message*);

TritonError TRITONBACKEND_ApiVersion(std::uint32_t* major, std::uint32_t* minor);
TritonError TRITONBACKEND_BackendConfig(TRITONBACKEND_Backend*, TRITONSERVER_Message**);
TritonError TRITONBACKEND_BackendState(TRITONBACKEND_Backend*, void** state);
TritonError TRITONBACKEND_BackendSetState(TRITONBACKEND_Backend*, void* state);
TritonError TRITONBACKEND_BackendAttributeAddPreferredInstanceGroup(
    TRITONBACKEND_BackendAttribute*, trimaran::InstanceKind, std::uint64_t count,
    const std::uint64_t* devices, std::uint64_t device_count);
TritonError TRITONBACKEND_BackendAttributeSetParallelModelInstanceLoading(
    TRITONBACKEND_BackendAttribute*, bool enabled);

TritonError TRITONBACKEND_ModelBackend(TRITONBACKEND_Model*, TRITONBACKEND_Backend**);
TritonError TRITONBACKEND_ModelName(TRITONBACKEND_Model*, const char** name);
TritonError TRITONBACKEND_ModelVersion(TRITONBACKEND_Model*, std::uint64_t*);
TritonError TRITONBACKEND_ModelRepository(TRITONBACKEND_Model*, int* kind, const char** path);
TritonError TRITONBACKEND_ModelConfig(
    TRITONBACKEND_Model*, std::uint32_t version, TRITONSERVER_Message**);
TritonError TRITONBACKEND_ModelSetConfig(
    TRITONBACKEND_Model*, std::uint32_t version, TRITONSERVER_Message*);
TritonError TRITONBACKEND_ModelAutoCompleteConfig(TRITONBACKEND_Model*, bool*);
TritonError TRITONBACKEND_ModelState(TRITONBACKEND_Model*, void** state);
TritonError TRITONBACKEND_ModelSetState(TRITONBACKEND_Model*, void* state);

TritonError TRITONBACKEND_ModelInstanceName(TRITONBACKEND_ModelInstance*, const char** name);
TritonError TRITONBACKEND_ModelInstanceModel(TRITONBACKEND_ModelInstance*, TRITONBACKEND_Model**);
TritonError TRITONBACKEND_ModelInstanceState(TRITONBACKEND_ModelInstance*, void** state);
TritonError TRITONBACKEND_ModelInstanceSetState(TRITONBACKEND_ModelInstance*, void* state);
TritonError TRITONBACKEND_ModelInstanceReportStatistics(
    TRITONBACKEND_ModelInstance*, TRITONBACKEND_Request*, bool success,
    std::uint64_t begin_ns, std::uint64_t compute_begin_ns, std::uint64_t compute_end_ns,
    std::uint64_t end_ns);
TritonError TRITONBACKEND_ModelInstanceReportBatchStatistics(
    TRITONBACKEND_ModelInstance*, std::uint64_t rows, std::uint64_t begin_ns,
    std::uint64_t compute_begin_ns, std::uint64_t compute_end_ns, std::uint64_t end_ns);

TritonError TRITONBACKEND_RequestInput(
    TRITONBACKEND_Request*, const char* name, TRITONBACKEND_Input**);
TritonError TRITONBACKEND_RequestOutputCount(TRITONBACKEND_Request*, std::uint32_t*);
TritonError TRITONBACKEND_RequestOutputName(
    TRITONBACKEND_Request*, std::uint32_t index, const char** name);
TritonError TRITONBACKEND_RequestRelease(TRITONBACKEND_Request*, std::uint32_t flags);

TritonError TRITONBACKEND_InputProperties(
    TRITONBACKEND_Input*, const char** name, trimaran::DataType*, const std::int64_t** shape,
    std::uint32_t* rank, std::uint64_t* size, std::uint32_t* buffers);
TritonError TRITONBACKEND_InputBuffer(
    TRITONBACKEND_Input*, std::uint32_t index, const void** buffer, std::uint64_t* size,
    trimaran::MemoryType*, std::int64_t* device);

TritonError TRITONBACKEND_ResponseNew(TRITONBACKEND_Response**, TRITONBACKEND_Request*);
TritonError TRITONBACKEND_ResponseDelete(TRITONBACKEND_Response*);
TritonError TRITONBACKEND_ResponseOutput(
    TRITONBACKEND_Response*, TRITONBACKEND_Output**, const char* name, trimaran::DataType,
    const std::int64_t* shape, std::uint32_t rank);
TritonError TRITONBACKEND_OutputBuffer(
    TRITONBACKEND_Output*, void** buffer, std::uint64_t size, trimaran::MemoryType*,
    std::int64_t* device);
TritonError TRITONBACKEND_ResponseSend(
    TRITONBACKEND_Response*, std::uint32_t flags, TRITONSERVER_Error*);

}  // extern "C"
