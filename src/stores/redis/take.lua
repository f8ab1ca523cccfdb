-- The laws of src/algorithms/ over many counters at one instant. Equal to ../record.ts, number for number.
--
-- KEYS     the counters, one per question; or none of them, and the counters follow the runs in ARGV
-- ARGV[1]  "specs runs now": how many of each follow (no run: all questions have the one spec); now in ms, or the server's clock
-- ARGV     specs, then two per run: number of the spec, number of questions
-- spec     a letter of how it is run (F B S: takes of one limit, G: all else), then a letter of the mode, four numbers of the mode,
--          ms to keep the counter; then per limit a letter and six numbers:
--            t p c r  take, peek, charge, refund: cost, count, takenAt
--            b        ban: duration, factor, longest, forgetAfter     u  unban     x  the stored text
--            F  amount, period, align (0 clock, 1 first, 2 calendar), calendar period's start, its end
--            S  amount, period, width          B  capacity, unit, drain, period, initial level, forget
-- reply    now, then per question
--            a take of one limit in ordinary state: its level (B), its count (F), or total, newest, oldest, room (S), the first
--            of them as -1 - n when refused
--            else a text: "G" granted, banned for, readings · "V" a value · "A" ask again with the period of now · "E" an error
--
-- The stored text is that of ../record.ts, but one sliding window's is "=total,newest start,its count:older entries": it is
-- decided without adding up its entries. One GET and one SET per question. Whole numbers below 2^53, nothing is rounded.
-- Next: wire.ts, which writes and reads this.

local call, match, find, sub, gmatch, format = redis.pcall, string.match, string.find, string.sub, string.gmatch, string.format
local MAX = 9007199254740991

local nspecs, nruns, now = match(ARGV[1], '^(%d+) (%d+) (%d*)$')
if now == '' then
  local t = redis.call('TIME')
  now = t[1] * 1000 + (t[2] - t[2] % 1000) / 1000
else
  now = now + 0
end
nspecs, nruns = nspecs + 0, nruns + 0

local names, base = KEYS, 0
if #KEYS == 0 then names, base = ARGV, 1 + nspecs + 2 * nruns end

local out, n = { now }, 1
-- The error of a full memory, once it has been met.
local full

-- After a write failed: while memory is full, counters that exist go on and new ones are refused. A script that has written already
-- may go on writing, and renewing the expiry of what exists needs no memory. Returns an error or nothing.
local function insist(problem, key, text, keep, exists)
  if not find(problem, '^%-?OOM') then return problem end
  full = problem
  if not exists then return problem end
  local reply = call('PEXPIRE', key, keep)
  if type(reply) == 'table' then return reply.err end
  return call('SET', key, text, 'PX', keep).err
end

-- All that is out of the ordinary. In a function, so that its parts are only made when they are needed.
local function machinery()

local function save(key, text, keep, exists)
  if full and not exists then return full end
  local problem = call('SET', key, text, 'PX', keep).err
  return problem and insist(problem, key, text, keep, exists)
end

local function specOf(text)
  local mode, a, b, c, d, keep, rest = match(text, '^%u(%l)(%d*),(%d*),(%d*),(%d*),(%d*)(.*)$')
  local spec = { mode = mode, keep = keep, a = tonumber(a), b = tonumber(b), c = tonumber(c), d = tonumber(d) }
  for kind, u, v, w, x, y, z in gmatch(rest, '(%u)(%d+),(%d+),(%d+),(%d+),(%d+),(%d+)') do
    local limit
    if kind == 'F' then
      limit = { kind = kind, amount = u + 0, period = v + 0, align = w + 0, from = x + 0, to = y + 0 }
      if limit.align == 2 then
        if now < limit.from or now >= limit.to then spec.again = true end
      elseif limit.align == 1 then
        limit.from = now
      else
        limit.from = now - now % limit.period
      end
    elseif kind == 'S' then
      limit = { kind = kind, amount = u + 0, period = v + 0, width = w + 0, from = now - now % w, stays = v + w - 1 }
    else
      limit = { kind = kind, capacity = u + 0, unit = v + 0, drain = w + 0, period = x + 0, initial = y + 0, forget = z + 0 }
    end
    spec[#spec + 1] = limit
  end
  return spec
end

-- Texts and states

local function numbers(text)
  local list, size = {}, 0
  if text == '' then return list end
  if find(text, '[^%d,]') or find(text, ',,', 1, true) or sub(text, 1, 1) == ',' or sub(text, -1) == ',' then return nil end
  for digits in gmatch(text, '%d+') do
    if #digits > 16 then return nil end
    size = size + 1
    list[size] = digits + 0
    if list[size] > MAX then return nil end
  end
  return list
end

local function spent(spec)
  local states = {}
  for i, l in ipairs(spec) do
    states[i] = l.kind == 'B' and { now, l.capacity } or { l.from, l.amount }
  end
  return states
end

-- A sliding window's text as ../record.ts has it.
local function plain(text)
  local newest, older = match(text, '^=%d+,(%d+,%d+):([%d,]*)$')
  if not newest then return text end
  return older == '' and newest or older .. ',' .. newest
end

-- The states, the ban, and whether the text was no record of these limits: then all is spent.
local function parse(spec, text)
  local states, ban, sound = {}, nil, true
  if not text or text == '' then
    for i = 1, #spec do states[i] = {} end
    return states
  end
  if type(text) ~= 'string' then return spent(spec), nil, true end
  if sub(text, 1, 1) == '=' then text = plain(text) end
  if sub(text, 1, 1) == '!' then
    local head = match(text, '^!([^;]*)')
    ban = numbers(head)
    sound = ban and #ban == 3
    text = sub(text, #head + 2)
    if text == '' then sound = false else text = sub(text, 2) end
  end
  local size = 0
  for part in gmatch(text .. ';', '([^;]*);') do
    size = size + 1
    local l, state = spec[size], numbers(part)
    if not l or not state or (l.kind == 'S' and #state % 2 ~= 0) or (l.kind ~= 'S' and #state ~= 0 and #state ~= 2) then
      sound = false
      break
    end
    states[size] = state
  end
  if not sound or size ~= #spec then return spent(spec), nil, true end
  return states, ban
end

local function joined(list)
  local texts = {}
  for i = 1, #list do texts[i] = format('%.0f', list[i]) end
  return table.concat(texts, ',')
end

local function total(e)
  local sum = 0
  for i = 2, #e, 2 do sum = sum + e[i] end
  return sum
end

local function textOf(spec, states, ban)
  local l, size = spec[1], #states[1]
  if l.kind == 'S' and #spec == 1 and size > 0 and not ban then
    local e = states[1]
    local at, last = e[size - 1], e[size]
    local head = format('=%.0f,%.0f,%.0f:', total(e), at, last)
    e[size - 1], e[size] = nil, nil
    local older = joined(e)
    e[size - 1], e[size] = at, last
    return head .. older
  end
  local texts, held = {}, ban
  for i = 1, #states do
    texts[i] = joined(states[i])
    if texts[i] ~= '' then held = true end
  end
  if not held then return '' end
  local text = table.concat(texts, ';')
  return ban and '!' .. joined(ban) .. ';' .. text or text
end

-- The laws

local laws = { F = {}, S = {}, B = {} }

-- Whether the window that starts here lasts until now or begins later.
local function lasts(l, start)
  if l.align == 2 then return start >= l.from end
  return now < start + l.period
end

function laws.F.refund(l, s, cost, takenAt)
  local start = s[1]
  if not start or not lasts(l, start) or (takenAt and takenAt < start) then return end
  if s[2] > cost then s[2] = s[2] - cost else s[1], s[2] = nil, nil end
end

function laws.F.heal(l, s)
  if not s[1] or s[1] - now <= l.period then return false end
  s[1] = l.from
  return true
end

function laws.F.look(l, s)
  local start, count = s[1], 0
  local going = start and lasts(l, start)
  if going then count = s[2] end
  if not going or start - now > l.period then start = l.from end
  return start, count
end

function laws.F.room(l, s, cost, most)
  local _, count = laws.F.look(l, s)
  local times = 0
  while times < most and count + cost <= l.amount do
    count = count + cost
    times = times + 1
  end
  return times
end

function laws.F.pour(l, s, cost, times)
  local start, count = laws.F.look(l, s)
  if count + cost * times <= l.amount then count = count + cost * times
  elseif count < l.amount then count = l.amount end
  s[1], s[2] = start, count
end

function laws.F.read(l, s)
  local start, count = laws.F.look(l, s)
  return { start, count, start, start }
end

local function level(l, s)
  if not s[1] then return l.initial end
  local elapsed = now - s[1]
  if elapsed <= 0 then return s[2] end
  if l.forget > 0 and elapsed >= l.forget then return l.initial end
  local left = s[2] - elapsed * l.drain
  return left > 0 and left or 0
end

local function stamp(l, at)
  if at and at > now and at - now <= l.period then return at end
  return now
end

function laws.B.refund(l, s, cost, takenAt)
  local at = s[1]
  if not at or (l.forget > 0 and now - at >= l.forget) then return end
  local back = cost * l.unit
  if takenAt and takenAt < now then back = back - (now - takenAt) * l.drain end
  if back <= 0 then return end
  local held = level(l, s)
  if held == 0 then return end
  s[1], s[2] = stamp(l, at), back >= held and 0 or held - back
end

function laws.B.heal(l, s)
  local at = s[1]
  if l.forget > 0 and (not at or now - at >= l.forget) then
    s[1], s[2] = now, l.initial
    return true
  end
  if not at or at - now <= l.period then return false end
  s[1] = now
  return true
end

function laws.B.room(l, s, cost, most)
  local held, need, times = level(l, s), cost * l.unit, 0
  while times < most and held + need <= l.capacity do
    held = held + need
    times = times + 1
  end
  return times
end

function laws.B.pour(l, s, cost, times)
  local held, need = level(l, s), cost * l.unit * times
  if held + need <= l.capacity then held = held + need
  elseif held < l.capacity then held = l.capacity end
  s[1], s[2] = stamp(l, s[1]), held
end

function laws.B.read(l, s)
  return { stamp(l, s[1]), level(l, s), 0, 0 }
end

-- Drops the first so many numbers.
local function drop(e, gone)
  local size = #e
  for i = 1, size do e[i] = e[i + gone] end
end

function laws.S.heal(l, e)
  local size, gone = #e, 0
  while gone < size and now >= e[gone + 1] + l.stays do gone = gone + 2 end
  if gone > 0 then drop(e, gone) end
  size = size - gone
  if size == 0 or e[size - 1] - now <= l.period then return gone > 0 end
  local sum = total(e)
  for i = size, 3, -1 do e[i] = nil end
  e[1], e[2] = l.from, sum
  return true
end

-- Gives back from the sub-window that starts there, or from the oldest.
local function giveBack(e, cost, start)
  local i = 1
  while i <= #e and cost > 0 do
    local count = e[i + 1]
    if start and e[i] ~= start then
      i = i + 2
    elseif count > cost then
      e[i + 1] = count - cost
      return
    else
      table.remove(e, i)
      table.remove(e, i)
      cost = cost - count
    end
  end
end

function laws.S.refund(l, e, cost, takenAt)
  laws.S.heal(l, e)
  giveBack(e, cost, takenAt and takenAt - takenAt % l.width)
end

function laws.S.room(l, e, cost, most)
  local held, times = total(e), 0
  while times < most and held + cost <= l.amount do
    held = held + cost
    times = times + 1
  end
  return times
end

function laws.S.pour(l, e, cost, times)
  cost = cost * times
  local sum = total(e)
  local excess = sum - (math.max(l.amount, sum) - cost)
  if excess > 0 then giveBack(e, excess) end
  local size = #e
  if size > 0 and e[size - 1] >= l.from then e[size] = e[size] + cost
  else e[size + 1], e[size + 2] = l.from, cost end
end

function laws.S.read(l, e, cost)
  local size, sum = #e, total(e)
  local newest = size == 0 and l.from or e[size - 1]
  local room, over, i = newest, sum + cost - l.amount, 1
  while i < size and over > 0 do
    room = e[i]
    over = over - e[i + 1]
    i = i + 2
  end
  return { newest, sum, size == 0 and newest or e[1], room }
end

-- One question of any kind about a counter with this text.

local function decided(granted, bannedFor, readings)
  return 'G' .. format('%.0f,%.0f', granted, bannedFor) .. ',' .. joined(readings)
end

local function take(spec, key, text)
  local mode, cost, count = spec.mode, spec.a, spec.b
  local states, ban, poisoned = parse(spec, text)
  local bannedFor = ban and ban[1] > now and ban[1] - now or 0
  local spends = bannedFor == 0 and (mode == 't' or mode == 'c')
  local changed = mode == 'r' or (poisoned and mode ~= 'p')
  local granted = count
  for i, l in ipairs(spec) do
    local law, s = laws[l.kind], states[i]
    if mode == 'r' then law.refund(l, s, cost, spec.c) end
    if l.kind == 'S' then
      if law.heal(l, s) and spends then changed = true end
    elseif spends and law.heal(l, s) then
      changed = true
    end
    local times = law.room(l, s, cost, granted)
    if times < granted then granted = times end
  end
  if spends and (granted > 0 or mode == 'c') then
    for i, l in ipairs(spec) do laws[l.kind].pour(l, states[i], cost, mode == 'c' and 1 or granted) end
    changed = true
  end
  if changed and (text or mode ~= 'r') then
    local state, problem = textOf(spec, states, ban), nil
    if state == '' then
      problem = call('DEL', key)
      problem = type(problem) == 'table' and problem.err
    else
      local keep = spec.keep
      if ban and ban[3] - now > keep + 0 then keep = format('%.0f', ban[3] - now) end
      problem = save(key, state, keep, text)
    end
    if problem then return 'E' .. problem end
  end
  local readings = {}
  for i, l in ipairs(spec) do
    local four = laws[l.kind].read(l, states[i], cost)
    for j = 1, 4 do readings[#readings + 1] = four[j] end
  end
  return decided(bannedFor > 0 and 0 or granted, bannedFor, readings)
end

local function punish(spec, key, text)
  local states, ban = parse(spec, text)
  ban = ban or { -1, 0, 0 }
  local strikes = (ban[1] == -1 or now >= ban[1] + spec.d) and 0 or ban[2]
  local longest, lastsFor = spec.c, spec.a
  for _ = 1, strikes do
    if lastsFor >= longest or spec.b <= 1 then break end
    lastsFor = lastsFor * spec.b
  end
  if lastsFor > longest then lastsFor = longest end
  ban[1] = math.max(ban[1], now + lastsFor)
  ban[2] = strikes + 1
  ban[3] = math.max(ban[3], ban[1] + spec.d)
  local keep = spec.keep
  if ban[3] - now > keep + 0 then keep = format('%.0f', ban[3] - now) end
  local problem = save(key, textOf(spec, states, ban), keep, text)
  return problem and 'E' .. problem or 'V' .. format('%.0f', ban[1] - now)
end

local function forgive(spec, key, text)
  if not text then return 'V' end
  local states, _, poisoned = parse(spec, text)
  local state, problem = textOf(spec, states), nil
  if poisoned or state ~= text then
    if state == '' then
      problem = call('DEL', key)
      problem = type(problem) == 'table' and problem.err
    else
      problem = save(key, state, spec.keep, text)
    end
  end
  return problem and 'E' .. problem or 'V'
end

local function general(spec, key, text)
  if type(text) == 'table' then
    -- A value of another type is damage; everything else keeps the counter from being read here and now.
    if not find(text.err, '^%-?WRONGTYPE') then return 'E' .. text.err end
  end
  if spec.again then return 'A' end
  local mode = spec.mode
  if mode == 'x' then return text and 'V' .. (type(text) == 'string' and plain(text) or '?') or 'N' end
  if mode == 'b' then return punish(spec, key, text) end
  if mode == 'u' then return forgive(spec, key, text) end
  return take(spec, key, text)
end

return function(text, from, to)
  local spec = specOf(text)
  for i = from, to do
    local key = names[base + i]
    n = n + 1
    out[n] = general(spec, key, call('GET', key))
  end
end

end

local run

-- Answers questions by the whole machinery.
local function general(text, from, to)
  run = run or machinery()
  run(text, from, to)
end

-- Takes of one limit, in ordinary state. Whatever is not that is left to `general`, which reads the counter again. Their code is not
-- in functions, since making those takes longer than deciding a single question.

local ahead, from, to, run = 2 + nspecs, 1, #names - base, 0
repeat
  local spec = ARGV[2]
  if nruns > 0 then
    spec, to = ARGV[1 + ARGV[ahead]], from + ARGV[ahead + 1] - 1
    ahead, run = ahead + 2, run + 1
  end
  local shape = sub(spec, 1, 1)
  local states
  -- Reading many at once is quicker. It shows a value of another type as nothing, so what is not there is looked at again; and in a
  -- cluster it wants keys of one slot, as declared ones are. No two questions of a run are about the same counter.
  if to > from and base == 0 and shape ~= 'G' then
    states = {}
    for first = from, to, 200 do
      local some = call('MGET', unpack(names, first, first + 199 < to and first + 199 or to))
      if some.err then
        states = nil
        break
      end
      for i = 1, #some do states[first + i - 1] = some[i] end
    end
  end

  if shape == 'F' then
    local cost, count, keep, amount, period, align, start, stop = match(spec, '^Ft(%d+),(%d+),,,(%d+)F(%d+),(%d+),(%d),(%d+),(%d+)')
    cost, amount = cost * count, amount + 0
    if align == '0' then
      period = period + 0
      start = now - now % period
    else
      start, period = start + 0, nil
    end
    local begins = format('%.0f,', start)
    local current = '^' .. begins .. '(%d+)$'
    -- Numbers are joined to texts with 14 digits.
    local short = amount < 1e14
    if not period and (now < start or now >= stop + 0) then
      general(spec, from, to)
      from = to + 1
    end
    for i = from, to do
      local key = names[base + i]
      local state = states and states[i] or call('GET', key)
      local used = 0
      if state then
        used = type(state) == 'string' and match(state, current)
        if used then
          used = #used < 17 and used + 0 or nil
        else
          local at, old = match(type(state) == 'string' and state or '', '^(%d+),(%d+)$')
          -- Over: another window has begun since.
          if at and #at < 17 and #old < 17 and at + 0 < start and old + 0 <= MAX and (not period or at + period <= now) then used = 0 end
        end
      end
      if used and used + cost <= amount and (state or not full) then
        used = used + cost
        local text = begins .. (short and used or format('%.0f', used))
        local problem = call('SET', key, text, 'PX', keep).err
        problem = problem and insist(problem, key, text, keep, state)
        n = n + 1
        out[n] = problem and 'E' .. problem or used
      elseif used and count == '1' and used + cost > amount then
        n = n + 1
        out[n] = -1 - used
      else
        general(spec, i, i)
      end
    end

  elseif shape == 'B' then
    local cost, count, keep, capacity, unit, drain = match(spec, '^Bt(%d+),(%d+),,,(%d+)B(%d+),(%d+),(%d+)')
    local need = cost * unit * count
    capacity, drain = capacity + 0, drain + 0
    local begins = format('%.0f,', now)
    local short = capacity < 1e14
    for i = from, to do
      local key = names[base + i]
      local state = states and states[i] or call('GET', key)
      local held = 0
      if state then
        local at, level = match(type(state) == 'string' and state or '', '^(%d+),(%d+)$')
        held = nil
        if at and #at < 17 and #level < 17 then
          local elapsed = now - at
          level = level + 0
          if elapsed >= 0 and level <= MAX then
            held = level - elapsed * drain
            if held < 0 then held = 0 end
          end
        end
      end
      if held and held + need <= capacity and (state or not full) then
        held = held + need
        local text = begins .. (short and held or format('%.0f', held))
        local problem = call('SET', key, text, 'PX', keep).err
        problem = problem and insist(problem, key, text, keep, state)
        n = n + 1
        out[n] = problem and 'E' .. problem or held
      elseif held and count == '1' and held + need > capacity then
        n = n + 1
        out[n] = -1 - held
      else
        general(spec, i, i)
      end
    end

  elseif shape == 'S' then
    local cost, count, keep, amount, period, width = match(spec, '^St(%d+),(%d+),,,(%d+)S(%d+),(%d+),(%d+)')
    local all, short = cost * count, amount + 0 < 1e14
    cost, amount, period, width = cost + 0, amount + 0, period + 0, width + 0
    local start, stays = now - now % width, period + width - 1
    local begins = format('%.0f', start)
    for i = from, to do
      local key = names[base + i]
      local state = states and states[i] or call('GET', key)
      local used, newest, last, oldest, older = 0, begins, 0, '', ''
      if state then
        used = nil
        if type(state) == 'string' then
          used, newest, last, oldest, older = match(state, '^=(%d+),(%d+),(%d+):(%d*)([%d,]*)$')
        end
        if used then
          local first = oldest == '' and newest or oldest
          if #used < 17 and #newest < 17 and #last < 17 and #first < 17 and now < first + stays and newest - now <= period then
            used, last = used + 0, last + 0
          else
            used = nil
          end
        end
      end
      local fits = used and used + all <= amount
      local problem
      if fits and (state or not full) then
        used = used + all
        if last > 0 and newest + 0 < start then
          if oldest == '' then oldest, older = newest, format(',%.0f', last)
          else older = older .. ',' .. newest .. format(',%.0f', last) end
          newest, last = begins, 0
        end
        last = last + all
        local text
        if short then text = '=' .. used .. ',' .. newest .. ',' .. last .. ':' .. oldest .. older
        else text = format('=%.0f,%s,%.0f:', used, newest, last) .. oldest .. older end
        problem = call('SET', key, text, 'PX', keep).err
        problem = problem and insist(problem, key, text, keep, state)
      end
      if problem then
        n = n + 1
        out[n] = 'E' .. problem
      elseif not used or (fits and not state and full) or (not fits and count ~= '1') then
        general(spec, i, i)
      else
        local room, over = newest, used + cost - amount
        if over > 0 then
          for at, held in gmatch(oldest .. older, '(%d+),(%d+)') do
            room = at
            over = over - held
            if over <= 0 then break end
          end
          if over > 0 then room = newest end
        end
        out[n + 1] = fits and used or -1 - used
        out[n + 2], out[n + 3], out[n + 4] = newest + 0, (oldest == '' and newest or oldest) + 0, room + 0
        n = n + 4
      end
    end

  else
    general(spec, from, to)
  end
  from = to + 1
until run >= nruns
return out
