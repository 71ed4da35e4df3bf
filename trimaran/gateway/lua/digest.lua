-- HMAC-SHA-256 (RFC 2104, FIPS 180-4), so that a person's name is logged as a keyed digest.

local bit = require("bit")
local band, bnot, bxor, ror, shr = bit.band, bit.bnot, bit.bxor, bit.ror, bit.rshift
local tobit = bit.tobit

local ROUNDS = {}
local FIRST = {}

-- The first 32 bits of the fractional parts of roots of primes, which the standard takes.
do
  local function fraction(root)
    return tobit(math.floor((root - math.floor(root)) * 4294967296))
  end
  local found, candidate = 0, 2
  while found < 64 do
    local prime = true
    for divisor = 2, math.floor(math.sqrt(candidate)) do
      if candidate % divisor == 0 then
        prime = false
        break
      end
    end
    if prime then
      found = found + 1
      if found <= 8 then
        FIRST[found] = fraction(candidate ^ (1 / 2))
      end
      ROUNDS[found] = fraction(candidate ^ (1 / 3))
    end
    candidate = candidate + 1
  end
end

local function word(text, place)
  local a, b, c, d = text:byte(place, place + 3)
  return tobit(((a * 256 + b) * 256 + c) * 256 + d)
end

local function bytes_of(number)
  return string.char(band(shr(number, 24), 255), band(shr(number, 16), 255),
    band(shr(number, 8), 255), band(number, 255))
end

local function sha256(text)
  local length = #text
  text = text .. "\128" .. string.rep("\0", (55 - length) % 64) ..
    bytes_of(math.floor(length * 8 / 4294967296)) .. bytes_of(tobit(length * 8))
  local state = {}
  for index = 1, 8 do
    state[index] = FIRST[index]
  end
  local schedule = {}
  for block = 1, #text, 64 do
    for index = 1, 16 do
      schedule[index] = word(text, block + (index - 1) * 4)
    end
    for index = 17, 64 do
      local old, recent = schedule[index - 15], schedule[index - 2]
      local first = bxor(ror(old, 7), ror(old, 18), shr(old, 3))
      local second = bxor(ror(recent, 17), ror(recent, 19), shr(recent, 10))
      schedule[index] = tobit(schedule[index - 16] + first + schedule[index - 7] + second)
    end
    local a, b, c, d, e, f, g, h = unpack(state)
    for index = 1, 64 do
      local high = bxor(ror(e, 6), ror(e, 11), ror(e, 25))
      local choice = bxor(band(e, f), band(bnot(e), g))
      local one = tobit(h + high + choice + ROUNDS[index] + schedule[index])
      local low = bxor(ror(a, 2), ror(a, 13), ror(a, 22))
      local two = tobit(low + bxor(band(a, b), band(a, c), band(b, c)))
      h, g, f, e, d, c, b, a = g, f, e, tobit(d + one), c, b, a, tobit(one + two)
    end
    for index, value in ipairs({ a, b, c, d, e, f, g, h }) do
      state[index] = tobit(state[index] + value)
    end
  end
  local found = {}
  for index = 1, 8 do
    found[index] = bytes_of(state[index])
  end
  return table.concat(found)
end

local function with_each(text, mask)
  return (text:gsub(".", function(sign)
    return string.char(bxor(sign:byte(), mask))
  end))
end

-- The first 16 hexadecimal digits of the keyed digest of a text; the key has at most 64 bytes.
local function keyed_digest(key, text)
  local padded = key .. string.rep("\0", 64 - #key)
  local inner = sha256(with_each(padded, 0x36) .. text)
  local digest = sha256(with_each(padded, 0x5c) .. inner)
  return (digest:sub(1, 8):gsub(".", function(sign)
    return string.format("%02x", sign:byte())
  end))
end
