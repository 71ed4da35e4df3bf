-- Looks into answers: which model and version gave them, and what an error says. `requests.lua`
-- stands before it.

-- Kinds of routes whose answers are looked at.
local ANSWERED = { predict = true, infer = true, events = true, call = true }

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
  return '"' .. text:gsub('[%c"\\\128-\255]', function(sign)
    return string.format("\\u%04x", sign:byte())
  end) .. '"'
end

-- What errors of Triton hold that say of which JSON it could make no request; it gives them 500.
local UNREAD = {
  "Unable to parse",
  "failed to parse the request JSON",
  "attempt to access ",
  "attempt to get members",
  "parameter key '",
  "Expected JSON object",
  "Converting keyword",
}

local function is_unread(reason)
  for _, words in ipairs(UNREAD) do
    if reason:find(words, 1, true) then
      return true
    end
  end
  return false
end

-- What to say instead of an error of Triton that says nothing to who sent a flat record; or nil.
local function plain(reason)
  if reason:find("out of bounds index 0: request has 0 inputs", 1, true) then
    return "the record has no field that the model knows; /openapi.json lists them"
  end
  if is_unread(reason) then
    return "the body is no flat record: " .. reason .. "; /openapi.json says what it may hold"
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
  local request = held_for(handle)
  local took = handle:headers():get("x-envoy-upstream-service-time")
  if not took then
    return -- the gateway's own answer
  end
  handle:headers():replace("server-timing", "server;dur=" .. took)
  handle:headers():remove("x-envoy-upstream-service-time")
  local kind = handle:metadata():get("kind")
  local failed = tonumber(handle:headers():get(":status")) >= 400
  if not ANSWERED[kind] or kind == "events" and not failed then
    return
  end
  local body = handle:body()
  if request then
    local fine, problem = pcall(copy, handle, request, body)
    if not fine then
      handle:logErr(tostring(problem))
    end
  end
  if not body then
    return
  end
  local model, version
  if failed then
    local said = body:getBytes(0, body:length())
    if kind ~= "call" and is_unread(member(said, "error") or "") then
      handle:headers():replace(":status", "400")
    end
    if kind == "predict" then
      handle:body():setBytes(as_error(handle, said))
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
