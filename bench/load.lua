-- Sends the requests of a file: each `<bytes>\n` and then so many bytes.
--
-- The first request of the file is padding: it is sent when all others are, until wrk
-- stops, and does not count. Arguments: the file, the number of connections, and
-- "cycle" (begin again at the end) or "once" (stop at the end).
--
-- wrk ends by its clock alone; a signal to itself ends a run whose requests are used up,
-- and the time is then taken here, at the requests that count.

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long s; long us; } bench_timeval;
  int gettimeofday(bench_timeval *, void *);
  int getpid(void);
  int kill(int, int);
]]
local SIGINT = 2
local clock = ffi.new("bench_timeval")
local threads = {}

local function now_us()
  ffi.C.gettimeofday(clock, nil)
  return tonumber(clock.s) * 1e6 + tonumber(clock.us)
end

local function read_requests(path)
  local file = assert(io.open(path, "rb"))
  local requests = {}
  for length in file:lines() do
    requests[#requests + 1] = file:read(tonumber(length))
  end
  file:close()
  return requests
end

function setup(thread)
  threads[#threads + 1] = thread
end

function init(args)
  requests = read_requests(args[1])
  connections = tonumber(args[2])
  cycle = args[3] == "cycle"
  last = #requests
  next_one = 0 -- the first call is not sent: wrk looks at what it returns
  first_us, end_us, answered = 0, 0, 0
end

function request()
  next_one = next_one + 1
  if next_one == 2 and first_us == 0 then
    first_us = now_us()
  end
  if next_one > last then
    if cycle then
      next_one = 2
    else
      if end_us == 0 then
        end_us = now_us()
        -- Each connection has had its first request without an answer before it.
        answered = last - connections
        ffi.C.kill(ffi.C.getpid(), SIGINT)
      end
      return requests[1]
    end
  end
  return requests[next_one]
end

function done(summary, latency, _)
  local thread = threads[1]
  local answered, us = summary.requests, summary.duration
  if thread:get("end_us") > 0 then
    answered = thread:get("answered")
    us = thread:get("end_us") - thread:get("first_us")
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"answered": %d, "all": %d, "seconds": %.6f, "p50_ms": %.4f, "p99_ms": %.4f, ' ..
    '"used_up": %s, "status": %d, "connect": %d, "read": %d, "write": %d, ' ..
    '"timeout": %d}\n',
    answered, summary.requests, us / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    tostring(thread:get("end_us") > 0), errors.status, errors.connect, errors.read,
    errors.write, errors.timeout))
end
