//! The access log of ingress proxies: a line of JSON for each request, on the standard output.

use std::collections::HashMap;

use seaway_proto::any;
use seaway_proto::envoy::access_log::{AccessLog, access_log};
use seaway_proto::envoy::core::{SubstitutionFormatString, substitution_format_string::Format};
use seaway_proto::envoy::stream_access_log::{StdoutAccessLog, stdout_access_log::AccessLogFormat};
use seaway_proto::google::protobuf::{Struct, Value, value::Kind};

/// What a line has. A value that a request does not have is `null`.
const FIELDS: [(&str, &str); 18] = [
    ("time", "%START_TIME%"),
    ("method", "%REQ(:METHOD)%"),
    ("host", "%REQ(:AUTHORITY)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("status", "%RESPONSE_CODE%"),
    ("flags", "%RESPONSE_FLAGS%"),
    ("details", "%RESPONSE_CODE_DETAILS%"),
    ("milliseconds", "%DURATION%"),
    ("received", "%BYTES_RECEIVED%"),
    ("sent", "%BYTES_SENT%"),
    ("client", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("agent", "%REQ(USER-AGENT)%"),
    ("request", "%REQ(X-REQUEST-ID)%"),
    ("cluster", "%UPSTREAM_CLUSTER_RAW%"),
    ("endpoint", "%UPSTREAM_HOST%"),
    ("sni", "%REQUESTED_SERVER_NAME%"),
    ("tls", "%DOWNSTREAM_TLS_VERSION%"),
];

/// The access log.
pub(super) fn to_stdout() -> AccessLog {
    let text = |format: &str| Value {
        kind: Some(Kind::StringValue(format.to_owned())),
    };
    let fields = FIELDS.map(|(name, format)| (name.to_owned(), text(format)));
    let format = SubstitutionFormatString {
        format: Some(Format::JsonFormat(Struct {
            fields: HashMap::from(fields),
        })),
        ..Default::default()
    };
    let log = StdoutAccessLog {
        access_log_format: Some(AccessLogFormat::LogFormat(format)),
    };
    AccessLog {
        name: "envoy.access_loggers.stdout".to_owned(),
        config_type: Some(access_log::ConfigType::TypedConfig(any(&log))),
        ..Default::default()
    }
}
