function envoy_on_request(request)
  local headers = request:headers()
  local asked = headers:get(":authority") or ""
  if string.find(asked, ",", 1, true) then
    request:respond({[":status"] = "400"}, "")
    return
  end
  local host = string.gsub(string.lower(asked), ":%d*$", "")
  if host ~= asked then
    headers:replace("x-seaway-host", host)
    request:clearRouteCache()
    if request:metadata():get("exact") then
      return
    end
  end
  local dot = string.find(host, ".", 1, true)
  while dot do
    local wildcard = "*" .. string.sub(host, dot)
    if WILDCARDS[wildcard] then
      headers:replace("x-seaway-host", wildcard)
      request:clearRouteCache()
      return
    end
    dot = string.find(host, ".", dot + 1, true)
  end
  if ANY then
    headers:replace("x-seaway-host", "*")
    request:clearRouteCache()
  end
end
