function envoy_on_request(request)
  local headers = request:headers()
  local asked = headers:get(":authority") or ""
  local host = string.lower(asked)
  if host ~= asked then
    headers:replace(":authority", host)
    request:clearRouteCache()
    -- Has the route found now; the backend is asked for the name as it was written.
    request:metadata()
    headers:replace(":authority", asked)
  end
end
