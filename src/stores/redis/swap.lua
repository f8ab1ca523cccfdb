-- A counter's text for changing it by a function: read, and written if it is still what was read.
--
-- KEYS[1]  the counter    KEYS[2]  the last entry of a writer, if the change has one: in the counter's slot
-- ARGV[1]  now in ms, or nothing for the server's clock
-- ARGV[2]  to write: the text that was read    ARGV[3]  the text to write    ARGV[4]  ms to keep it    ARGV[5]  the entry's number
-- reply    now, the text ("" for none, "?" for a value of another type), the last entry's number, whether it was written
--
-- Next: changes.ts, which calls it; take.lua for what the text is.

local now = ARGV[1]
if now == '' then
  local t = redis.call('TIME')
  now = string.format('%.0f', t[1] * 1000 + (t[2] - t[2] % 1000) / 1000)
end

local text = redis.pcall('GET', KEYS[1])
if type(text) == 'table' then
  if not string.find(text.err, '^%-?WRONGTYPE') then return text end
  text = '?'
end
text = text or ''
local last = KEYS[2] and redis.call('GET', KEYS[2]) or '0'

if not ARGV[2] or text ~= ARGV[2] or (KEYS[2] and ARGV[5] + 0 <= (tonumber(last) or 0)) then return { now, text, last, 0 } end
if ARGV[3] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
end
if KEYS[2] then redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[4]) end
return { now, text, last, 1 }
