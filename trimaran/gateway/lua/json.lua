-- What JSON may not hold, since it would end Triton 2.51 or take gigabytes there: lists in lists
-- without end, and tensors that are larger than what was sent. A look at each byte, no more.

local DEEPEST = 100
local LONGEST_SHAPE = 1000
local QUOTE, BACKSLASH, COLON = 34, 92, 58
local LIST, LIST_END, OBJECT, OBJECT_END = 91, 93, 123, 125

-- How many elements a shape after a colon announces; 0 where it is none that Triton takes.
local function elements_of(text, place)
  local dims = text:sub(place + 1, place + LONGEST_SHAPE)
  if not dims:find("^%s*%[") then
    return 0
  end
  local found = 1
  dims = dims:match("^%s*%[([^%]]*)%]")
  if not dims then
    return math.huge
  end
  for dim in dims:gmatch("[^,%s]+") do
    found = found * math.abs(tonumber(dim) or 0)
  end
  return found
end

-- What is wrong with a member of a KServe request, by its name; or nil, and how many elements it
-- announces.
local function member_problem(name, text, place)
  if name:find("\\", 1, true) then
    return "a member's name is written with a backslash; write it plainly"
  end
  if name == "shared_memory_region" then
    return "a tensor is in shared memory, which the gateway does not pass on; send it in the body"
  end
  return nil, name == "shape" and elements_of(text, place) or 0
end

-- What is wrong with a JSON text, or nil. `most` is how many elements a KServe request may announce:
-- each takes a byte of the body at least. Without it, the text is no KServe request.
local function json_problem(text, most)
  local byte = string.byte
  local depth, place, elements = 0, 1, 0
  local from, to = 1, 0
  local sign = byte(text, place)
  while sign do
    if sign == QUOTE then
      from, place = place + 1, place + 1
      sign = byte(text, place)
      while sign and sign ~= QUOTE do
        place = place + (sign == BACKSLASH and 2 or 1)
        sign = byte(text, place)
      end
      to = place - 1
    elseif sign == LIST or sign == OBJECT then
      depth = depth + 1
      if depth > DEEPEST then
        return "the JSON has lists or objects within one another more than " .. DEEPEST .. " deep"
      end
    elseif sign == LIST_END or sign == OBJECT_END then
      depth = depth - 1
    elseif sign == COLON and most then
      local problem, announced = member_problem(text:sub(from, to), text, place)
      elements = elements + (announced or 0)
      if problem then
        return problem
      end
      if elements > most then
        return "the shapes announce more elements than the body holds; correct them"
      end
    end
    place = place + 1
    sign = byte(text, place)
  end
  return nil
end
