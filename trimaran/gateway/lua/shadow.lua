-- Copies requests and what is live answered to them, for the comparison with a candidate. Nothing
-- here waits: a client gets the answer of what is live as if nobody compared it.

-- Bytes of all requests that wait for an answer, and how many they may be.
local MOST_HELD, MOST_WAITING = 33554432, 10000
local COPY_MS = 2000
local COPIED = { predict = true, infer = true, call = true }

-- Requests that wait for their answers, by number. A client that goes away leaves its own here: the
-- oldest are let go of where all together are too large.
local held, oldest, newest, held_bytes = {}, 1, 0, 0

local function let_go(number)
  local request = held[number]
  held[number] = nil
  held_bytes = held_bytes - (request and #request.body or 0)
  return request
end

-- Hold a request of a model whose answers are compared.
local function hold(handle, split, kind, path)
  local kept = handle:streamInfo():dynamicMetadata()
  for name, value in pairs({
    experiment = split["experiment"], share = split["share"], arm = "shadow",
  }) do
    kept:set("trimaran", name, value)
  end
  local body = handle:body()
  local size = body and body:length() or 0
  if size > split["most_copied"] then
    return
  end
  newest = newest + 1
  held[newest] = {
    body = size > 0 and body:getBytes(0, size) or "",
    cluster = split["shadow"],
    most = split["most_copied"],
    kind = kind,
    path = path,
    json = handle:headers():get("inference-header-content-length"),
    begun = tonumber(handle:timestampString(EnvoyTimestampResolution.MICROSECOND)),
  }
  held_bytes = held_bytes + size
  while held_bytes > MOST_HELD or newest - oldest > MOST_WAITING do
    let_go(oldest)
    oldest = oldest + 1
  end
  kept:set("trimaran", "held", newest)
end

-- The request that was held for an answer, or nil.
local function held_for(handle)
  local kept = handle:streamInfo():dynamicMetadata():get("trimaran")
  return kept and kept["held"] and let_go(kept["held"])
end

-- Send a request and its answer to who compares them.
local function copy(handle, request, body)
  local size = body and body:length() or 0
  if size > request.most then
    return
  end
  local headers, kept = handle:headers(), handle:streamInfo():dynamicMetadata():get("trimaran")
  local now = tonumber(handle:timestampString(EnvoyTimestampResolution.MICROSECOND))
  local is_call = request.kind == "call"
  handle:httpCall(request.cluster, {
    [":method"] = "POST",
    [":path"] = request.path,
    [":authority"] = "shadow",
    ["x-kind"] = request.kind,
    ["x-id"] = kept["request_id"],
    ["x-status"] = is_call and (headers:get("grpc-status") or "0") or headers:get(":status"),
    ["x-us"] = tostring(now - request.begun),
    ["x-request-bytes"] = tostring(#request.body),
    ["x-request-json"] = request.json,
    ["x-answer-json"] = headers:get("inference-header-content-length"),
  }, request.body .. (size > 0 and body:getBytes(0, size) or ""), COPY_MS, true)
end
