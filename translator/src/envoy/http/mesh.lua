-- The name by which a host that is written otherwise is found, and of the name of a pod which pod.
local function lookup(host)
  local ip, port = string.match(host, "^%[([%x:]+)%](:?%d*)$")
  if not ip then
    ip, port = string.match(host, "^(%d+%.%d+%.%d+%.%d+)(:?%d*)$")
  end
  if ip then
    return string.gsub(ip, "%.", "-") .. ".ip/." .. port
  end
  local short, rest = string.match(host, "^([^.:]+)(:?%d*)$")
  if short and NAMESPACE then
    return short .. "." .. NAMESPACE .. rest
  end
  local pod, service, third, domain = string.match(host, "^([^.]+)%.([^.]+)%.([^.:]+)(.*)$")
  if pod and (third ~= "svc" or domain == ".svc" or string.find(domain, "^%.svc[.:]")) then
    return service .. "." .. third .. domain, pod
  end
  return host
end

function envoy_on_request(request)
  local headers = request:headers()
  local asked = headers:get(":authority") or ""
  local name, pod = lookup(string.lower(asked))
  if name == asked then
    return
  end
  headers:replace(":authority", name)
  request:clearRouteCache()
  -- Has the route found now; the backend is asked for the name as it was written.
  local has_pods = request:metadata():get("pods")
  headers:replace(":authority", asked)
  if pod and has_pods then
    request:streamInfo():dynamicMetadata():set("envoy.lb", "hostname", pod)
  elseif pod then
    request:clearRouteCache()
  end
end
