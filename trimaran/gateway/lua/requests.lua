-- Looks into requests and answers. What it cannot read has no model, and so no route and no answer:
-- an error in this code can refuse a request, and can never let one through.

local MODEL = "x-trimaran-model"
local JSON_LENGTH = "inference-header-content-length"
local UNARY = "/inference.GRPCInferenceService/ModelInfer"
local SUBJECT = "x-trimaran-subject"
local WINDOW = 4096
local MOST_NAMES = 10000

-- A function that gives the byte at a place of a body, or nil beyond its end.
local function byte_reader(body)
  local length = body:length()
  local text, from = "", 0
  return function(place)
    if place >= length then
      return nil
    end
    if place < from or place >= from + #text then
      from = place
      text = body:getBytes(place, math.min(WINDOW, length - place))
    end
    return text:byte(place - from + 1)
  end
end

-- The number of a varint and the place after it; nil where it is none.
local function varint(byte_at, place)
  local value, unit = 0, 1
  for _ = 1, 10 do
    local byte = byte_at(place)
    if not byte then
      return nil
    end
    place = place + 1
    value = value + (byte % 128) * unit
    if byte < 128 then
      return value, place
    end
    unit = unit * 128
  end
  return nil
end

-- The model's name in the one message of a gRPC call, or nil and why there is none.
local function model_of(body)
  local length = body:length()
  local byte_at = byte_reader(body)
  if length < 5 then
    return nil, "the call holds no message"
  end
  if byte_at(0) ~= 0 then
    return nil, "the message is compressed, which hides the model's name; send it uncompressed"
  end
  local announced = ((byte_at(1) * 256 + byte_at(2)) * 256 + byte_at(3)) * 256 + byte_at(4)
  if announced ~= length - 5 then
    return nil, "the call holds more or less than its one message"
  end
  local name, place = nil, 5
  while place < length do
    local tag, after = varint(byte_at, place)
    if not tag then
      return nil, "the message is no ModelInferRequest"
    end
    local kind = tag % 8
    if tag < 16 and tag >= 8 and (kind ~= 2 or name) then
      return nil, "the message does not name one model"
    end
    if kind == 0 then
      tag, place = varint(byte_at, after)
    elseif kind == 1 then
      place = after + 8
    elseif kind == 5 then
      place = after + 4
    elseif kind == 2 then
      local size, begun = varint(byte_at, after)
      if not size or begun + size > length then
        return nil, "the message is no ModelInferRequest"
      end
      if tag == 10 then
        name = size > 0 and size <= 128 and body:getBytes(begun, size) or ""
      end
      place = begun + size
    else
      return nil, "the message is no ModelInferRequest"
    end
    if not place or place > length then
      return nil, "the message is no ModelInferRequest"
    end
  end
  if not name or not name:match("^[%w_.-]+$") then
    return nil, "the message names no model"
  end
  return name
end

local function refuse_call(handle, reason)
  handle:respond({
    [":status"] = "200",
    ["content-type"] = "application/grpc",
    ["grpc-status"] = "3",
    ["grpc-message"] = reason,
  }, "")
end

-- Whether `Inference-Header-Content-Length` is a length within the body; beyond it, it ends Triton's
-- process. What is asked of `handle` before a body is read is not valid after it.
local function is_within_body(handle, text)
  if not text:match("^%d+$") or #text > 15 then
    return false
  end
  local body = handle:body()
  return tonumber(text) <= (body and body:length() or 0)
end

-- Whom the audit log names: a client of gateway.toml, or the keyed digest of another subject.
local named, count = {}, 0

local function name_of(handle, subject)
  if not named[subject] then
    local facts = handle:virtualHost():metadata()
    local known = facts:get("clients")
    if count >= MOST_NAMES then
      named, count = {}, 0
    end
    local listed = known and known[subject]
    named[subject] = listed and subject or keyed_digest(facts:get("digest_key"), subject)
    count = count + 1
  end
  return named[subject]
end

function envoy_on_request(handle)
  local subject = handle:headers():get(SUBJECT)
  local kept = handle:streamInfo():dynamicMetadata()
  if subject then
    kept:set("trimaran", "subject", name_of(handle, subject))
  end
  kept:set("trimaran", "request_id", handle:headers():get("x-request-id"))
  local announced = handle:headers():get(JSON_LENGTH)
  if announced then
    handle:headers():remove(JSON_LENGTH)
    if not is_within_body(handle, announced) then
      handle:respond({ [":status"] = "400" },
        "Inference-Header-Content-Length is no length within the body; correct it")
      return
    end
    handle:headers():add(JSON_LENGTH, announced)
  end
  if handle:headers():get(":path") ~= UNARY then
    return
  end
  local body = handle:body()
  if not body then
    return refuse_call(handle, "the call holds no message")
  end
  local model, reason = model_of(body)
  if not model then
    return refuse_call(handle, reason)
  end
  handle:headers():replace(MODEL, model)
  handle:clearRouteCache()
end

-- A JSON text without its quotes, as it stands in a body, from after `start`; nil if it has no end.
local function text_after(body, start)
  local place = start
  while true do
    local quote = body:find('["\\]', place)
    if not quote then
      return nil
    end
    if body:sub(quote, quote) == '"' then
      return body:sub(start, quote - 1)
    end
    place = quote + 2
  end
end

-- The JSON text of a member, as it stands in a body. A quote within a text is escaped, so that what
-- a client sent cannot look like a member.
local function member(body, name)
  local _, last = body:find('"' .. name .. '":"', 1, true)
  return last and text_after(body, last + 1)
end

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(sign)
    return string.format("\\u%04x", sign:byte())
  end) .. '"'
end

-- What Triton says of a body that it cannot read, with status 500.
local UNREADABLE = {
  "^failed to parse the request JSON",
  "^attempt to get members for non%-object",
  "^Unable to parse",
  "^Expected JSON object",
  "^Converting keyword",
  "^parameter key .* was not found in the JSON",
}

-- Errors of Triton that say nothing to who sent a flat record.
local function plain(reason)
  if reason:find("out of bounds index 0: request has 0 inputs", 1, true) then
    return "the record has no field that the model knows; /openapi.json lists them"
  end
  for _, sign in ipairs(UNREADABLE) do
    if reason:find(sign) then
      return "the body is no flat record: " .. reason .. "; /openapi.json says what it may hold"
    end
  end
  return nil
end

local function as_error(handle, body)
  local reason = member(body, "error") or "the server gave no reason"
  local explained = plain(reason)
  local where = handle:metadata():get("model") or "server"
  local ensemble, rest = reason:match("^in ensemble '([%w_.-]+)', (.*)$")
  if ensemble then
    local step, said = rest:match("^([%a_][%w_.-]*): (.*)$")
    local steps = handle:metadata():get("steps")
    if step and steps and steps[step] then
      where, reason = step, said
    else
      where, reason = ensemble, rest
    end
  end
  local kept = handle:streamInfo():dynamicMetadata():get("trimaran")
  local id = kept and kept["request_id"] or ""
  local status = handle:headers():get(":status")
  if explained and status == "500" then
    handle:headers():replace(":status", "400")
  end
  return '{"error":"' .. (explained or reason) .. '","where":' .. quoted(where) ..
    ',"request_id":' .. quoted(id) .. "}"
end

-- The text of field 1 or 2 at the beginning of a ModelInferResponse, and the place after it.
local function answer_field(byte_at, body, place, tag)
  if byte_at(place) ~= tag then
    return nil, place
  end
  local size, begun = varint(byte_at, place + 1)
  if not size or size > 128 or begun + size > body:length() then
    return nil, place
  end
  return body:getBytes(begun, size), begun + size
end

local function answered_call(body)
  if body:length() < 7 then
    return nil
  end
  local byte_at = byte_reader(body)
  local model, place = answer_field(byte_at, body, 5, 10)
  local version = answer_field(byte_at, body, place, 18)
  return model, version
end

local function answered_json(body)
  local text = body:getBytes(0, math.min(WINDOW, body:length()))
  if not member(text, "model_version") then
    text = body:getBytes(0, body:length())
  end
  return member(text, "model_name"), member(text, "model_version")
end

function envoy_on_response(handle)
  local took = handle:headers():get("x-envoy-upstream-service-time")
  if not took then
    return -- the gateway's own answer
  end
  handle:headers():replace("server-timing", "server;dur=" .. took)
  handle:headers():remove("x-envoy-upstream-service-time")
  local kind = handle:metadata():get("kind")
  if kind ~= "call" and kind ~= "infer" and kind ~= "predict" then
    return
  end
  local failed = tonumber(handle:headers():get(":status")) >= 400
  local body = handle:body()
  if not body then
    return
  end
  local model, version
  if failed then
    if kind == "predict" then
      local text = as_error(handle, body:getBytes(0, body:length()))
      handle:body():setBytes(text)
      handle:headers():replace("content-type", "application/json")
    end
  elseif kind == "call" then
    model, version = answered_call(body)
  else
    model, version = answered_json(body)
  end
  if version and version:match("^%d+$") and model and model:match("^[%w_.-]+$") then
    handle:headers():replace(MODEL, model)
    handle:headers():replace("x-trimaran-version", version)
  end
end
