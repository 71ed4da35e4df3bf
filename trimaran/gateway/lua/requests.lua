-- Looks into requests. What it cannot read has no model, and so no route and no answer:
-- an error in this code can refuse a request, and can never let one through.

local MODEL = "x-trimaran-model"
local JSON_LENGTH = "inference-header-content-length"
local ARM = "x-trimaran-arm"
local SUBJECT = "x-trimaran-subject"
local ISSUED_BY = "x-trimaran-issued-by"
-- Whom limits count where a token names no subject.
local NOBODY = "-"
-- Kinds of routes whose requests are JSON.
local IN_JSON = { predict = true, infer = true, events = true, admin = true }
-- The tags of the version, inputs, outputs and raw contents in a call.
local VERSION, INPUT, OUTPUT, RAW = 18, 42, 50, 58
-- Bytes of a call that are no content. Triton repeats some in an error, which is a header: with a
-- longer one Envoy ends the connection to Triton, and every call on it.
local MOST_WORDS = 16384
local WINDOW = 4096
-- Parts of the traffic that a share is counted in.
local FINEST = 4294967296
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

-- The tag of the field at a place before `stop`, where its content begins, and where it ends; nil
-- where there is none. A tag is one byte, as every client writes it: Triton ignores what is beyond
-- 32 bits of a longer one, so that it could name a model that is not seen here.
local function field_at(byte_at, place, stop)
  local tag, begun = byte_at(place), place + 1
  if tag < 8 or tag >= 128 then
    return nil
  end
  local kind, ended = tag % 8, nil
  if kind == 0 then
    _, ended = varint(byte_at, begun)
  elseif kind == 1 then
    ended = begun + 8
  elseif kind == 5 then
    ended = begun + 4
  elseif kind == 2 then
    local size
    size, begun = varint(byte_at, begun)
    ended = size and begun + size
  end
  if not ended or ended > stop then
    return nil
  end
  return tag, begun, ended
end

-- How many bytes of an input or an output are no content, or nil and what is wrong with it.
-- `parameters` and `content` are the tags of these.
local function words_of(body, byte_at, place, stop, parameters, content)
  local words = 0
  while place < stop do
    local tag, begun, ended = field_at(byte_at, place, stop)
    if not tag then
      return nil, "the message is no ModelInferRequest"
    end
    if tag ~= content then
      words = words + ended - place
    end
    if tag == parameters and
      body:getBytes(begun, ended - begun):find("shared_memory_region", 1, true) then
      return nil, "a tensor is in shared memory, which is closed here; send it in the call"
    end
    place = ended
  end
  return words
end

-- The model's name in the one message of a gRPC call, or nil and why there is none; at last whether
-- it names a version.
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
  local name, by_version, words, place = nil, false, 0, 5
  while place < length do
    local tag, begun, ended = field_at(byte_at, place, length)
    if not tag then
      return nil, "the message is no ModelInferRequest"
    end
    if math.floor(tag / 8) == 1 then
      if tag ~= 10 or name then
        return nil, "the message does not name one model"
      end
      local size = ended - begun
      name = size > 0 and size <= 128 and body:getBytes(begun, size) or ""
    end
    by_version = by_version or (tag == VERSION and ended > begun)
    local found, problem = ended - begun
    if tag == INPUT then
      found, problem = words_of(body, byte_at, begun, ended, 34, 42)
    elseif tag == OUTPUT then
      found, problem = words_of(body, byte_at, begun, ended, 18, nil)
    elseif tag == RAW then
      found = 0
    end
    if not found then
      return nil, problem
    end
    words = words + found
    place = ended
  end
  if words > MOST_WORDS then
    return nil, "the names, parameters and id have more than " .. MOST_WORDS .. " bytes"
  end
  if not name or not name:match("^[%w_.-]+$") then
    return nil, "the message names no model"
  end
  return name, nil, by_version
end

local function refuse_call(handle, reason, status)
  handle:respond({
    [":status"] = "200",
    ["content-type"] = "application/grpc",
    ["grpc-status"] = status or "3",
    ["grpc-message"] = reason,
  }, "")
end

-- Why a body would not do Triton good, or nil. `announced` is how many bytes of it are JSON, as a
-- text; beyond the body, it ends Triton's process.
local function body_problem(body, kind, announced)
  local length = body and body:length() or 0
  local json = announced and announced:match("^%d+$") and #announced <= 15 and tonumber(announced)
  if announced and (not json or json > length) then
    return "Inference-Header-Content-Length is no length within the body; correct it"
  end
  if length == 0 then
    return nil
  end
  if kind ~= "infer" then
    return json_problem(body:getBytes(0, length), nil)
  end
  return json_problem(body:getBytes(0, json or length), length)
end

-- Leave out of the headers what Triton cannot read.
local function clean(headers, path)
  local limit = headers:get("grpc-timeout")
  if limit and not (#limit <= 9 and limit:find("^%d+[MSmun]$")) then
    headers:remove("grpc-timeout")
  end
  if headers:get(":path") ~= path then
    headers:replace(":path", path)
  end
  if (headers:get(SUBJECT) or "") == "" then
    headers:replace(SUBJECT, NOBODY)
  end
end

-- Whom the audit log names: a client of gateway.toml, or the keyed digest of another subject.
local named, count = {}, 0

local function name_of(handle, subject)
  local issued = subject .. " " .. (handle:headers():get(ISSUED_BY) or "")
  if not named[issued] then
    local facts = handle:virtualHost():metadata()
    local known = facts:get("clients") or {}
    named, count = count < MOST_NAMES and named or {}, count % MOST_NAMES
    local listed = known[subject] or known[issued]
    named[issued] = listed and subject or keyed_digest(facts:get("digest_key"), subject)
    count = count + 1
  end
  return named[issued]
end

-- Choose which of two releases answers, where the traffic of a model is split; whether it is the
-- candidate. A client's key has always the same digest; without a key each request is by itself.
local function is_for_candidate(handle, model, kind, path)
  local split = handle:virtualHost():metadata():get("splits")[model]
  if not split then
    return false
  end
  local unit, place = "", math.random() * FINEST
  if split["shadow"] ~= "" then
    if COPIED[kind] and place < split["parts"] then
      hold(handle, split, kind, path)
    end
    return false
  end
  local key = split["header"] ~= "" and handle:headers():get(split["header"])
  if key then
    unit = keyed_digest(split["digest_key"], key)
    place = tonumber(unit:sub(1, 8), 16)
  end
  local arm = place < split["parts"] and "candidate" or "live"
  local kept = handle:streamInfo():dynamicMetadata()
  for name, value in pairs({
    experiment = split["experiment"], share = split["share"], arm = arm, unit = unit,
  }) do
    kept:set("trimaran", name, value)
  end
  if arm == "candidate" then
    handle:headers():replace(ARM, arm)
    return true
  end
  return false
end

local function look_at(handle)
  local subject = handle:headers():get(SUBJECT)
  local kept = handle:streamInfo():dynamicMetadata()
  if subject then
    kept:set("trimaran", "subject", name_of(handle, subject))
  end
  kept:set("trimaran", "request_id", handle:headers():get("x-request-id"))
  local path = handle:headers():get(":path"):match("^[^?]*")
  clean(handle:headers(), path)
  local kind, asked = handle:metadata():get("kind"), handle:metadata():get("model")
  if IN_JSON[kind] and not path:find("^/inference%.") then
    local coding = handle:headers():get("content-encoding")
    if coding and coding ~= "identity" then
      return handle:respond({ [":status"] = "415" },
        "the body is compressed, which hides what is in it; send it uncompressed")
    end
    -- What is asked of `handle` before a body is read is not valid after it.
    local announced = handle:headers():get(JSON_LENGTH)
    local problem = body_problem(handle:body(), kind, announced)
    if problem then
      return handle:respond({ [":status"] = "400" }, problem)
    end
  end
  if kind ~= "call" then
    local by_version = path:find("^/v2/models/[^/]+/versions/")
    local divided = asked ~= "" and kind ~= "stream" and not by_version
    if divided and is_for_candidate(handle, asked, kind, path) then
      handle:clearRouteCache()
    end
    return
  end
  local body = handle:body()
  if not body then
    return refuse_call(handle, "the call holds no message")
  end
  local model, reason, by_version = model_of(body)
  if not model then
    return refuse_call(handle, reason)
  end
  -- Until its name was read, the call might have been for the model that takes the largest.
  local most = handle:virtualHost():metadata():get("most_bytes")[model]
  if most and body:length() > most then
    return refuse_call(handle, "the body is larger than body_mb of the model allows", "8")
  end
  handle:headers():replace(MODEL, model)
  if not by_version then
    is_for_candidate(handle, model, kind, path)
  end
  handle:clearRouteCache()
end

function envoy_on_request(handle)
  -- Envoy passes on a request at which this code fails.
  local fine, problem = pcall(look_at, handle)
  if not fine then
    handle:logErr(tostring(problem))
    handle:respond({ [":status"] = "500" }, "the gateway cannot read the request; change it")
  end
end
