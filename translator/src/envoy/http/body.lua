function envoy_on_request(request)
  local body = request:body()
  if body and body:length() > request:metadata():get("max") then
    request:respond({[":status"] = "413"}, "")
  end
end
