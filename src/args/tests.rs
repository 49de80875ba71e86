use clap::{CommandFactory, error::ErrorKind};

use seaway_translator::{NodePortAddresses, Options};

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

fn serve(line: &str) -> ServeArgs {
    match parse(line).unwrap().command {
        Command::Serve(args) => *args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

/// What a person says of one question, and not how a process is to run. `--kube` in the environment
/// of a `serve` must not send a `status` beside it to look for a kubeconfig.
const OF_A_QUESTION: [&str; 3] = ["kube", "kubeconfig", "context"];

#[test]
fn every_flag_has_its_environment_variable() {
    for command in Cli::command().get_subcommands() {
        for arg in command.get_arguments() {
            let Some(flag) = arg.get_long().filter(|flag| *flag != "help") else {
                continue;
            };
            let expected = format!("SEAWAY_{}", flag.to_uppercase().replace('-', "_"));
            let found = arg.get_env().and_then(|env| env.to_str());
            let asks = command.get_arguments().any(|arg| arg.get_id() == "admin");
            if asks && OF_A_QUESTION.contains(&flag) {
                continue;
            }
            assert_eq!(
                found,
                Some(expected.as_str()),
                "{} --{flag}",
                command.get_name()
            );
            assert!(arg.get_help().is_some(), "--{flag} has no help");
        }
    }
}

#[test]
fn defaults_are_those_of_the_translator() {
    let args = serve("seaway serve --files .");
    assert_eq!(args.shape.options(false), Options::default());
    assert!(args.shape.options(true).allow_loopback_endpoints);
    assert_eq!(args.server.coalesce, Duration::from_millis(10));
    assert_eq!(args.server.drain, Duration::from_secs(10));
    assert_eq!(args.server.checkpoint_grace, Duration::from_secs(10));
    assert_eq!(args.server.xds_listen.to_string(), "127.0.0.1:18000");
    assert_eq!(args.server.admin_listen.to_string(), "127.0.0.1:18001");
}

#[test]
fn ranges_repeat_or_are_separated_by_commas() {
    let line = "seaway serve --files . --pod-cidr 10.0.0.0/8,fd00::/8 --pod-cidr 192.168.0.0/16";
    assert_eq!(serve(line).shape.options(true).pod_cidrs.len(), 3);
    assert_eq!(serve("seaway serve --files .").security.hold_back, 3);
    let line = "seaway serve --files . --hold-back 0";
    assert_eq!(serve(line).security.hold_back, 0);
    let line = "seaway serve --files . --nodeport-addresses 10.0.0.0/8,fd00::/8";
    let options = serve(line).shape.options(true);
    assert!(
        matches!(options.nodeport_addresses, NodePortAddresses::Cidrs(list) if list.len() == 2)
    );
}

#[test]
fn unusable_lines_are_refused() {
    for line in [
        "seaway serve --files . --kube",
        "seaway serve --files . --namespace shop",
        "seaway serve --files . --service-selector app=web",
        "seaway serve --watch-silence 999ms",
        "seaway serve --xds-listen 18000",
        "seaway serve --drain 10",
        "seaway translate --files . --role grpc",
        "seaway translate --files . -o xml",
        "seaway bootstrap",
        "seaway bootstrap --node-id a --xds localhost",
        "seaway bootstrap --node-id a --capture tproxy",
        "seaway bootstrap --node-id a --max-memory 1GB",
        "seaway bootstrap --node-id a --max-memory 15Mi",
        "seaway bootstrap --node-id a --max-memory 99999999999Ti",
        "seaway serve --pod-cidr 10.0.0.0",
        "seaway serve --files . --status on",
        "seaway serve --status maybe",
        "seaway serve --lease-namespace a.b",
        "seaway serve --ingress-service edge",
        "seaway serve --ingress-service infra/",
        "seaway serve --ingress-service Blue=infra/edge",
        "seaway translate --files . --role ingress --fleet Blue",
        "seaway serve --unknown",
    ] {
        let error = parse(line).unwrap_err();
        assert!(!matches!(error.kind(), ErrorKind::DisplayHelp), "{line}");
    }
}

#[test]
fn status_is_written_unless_the_flag_says_otherwise() {
    let args = serve("seaway serve --kube");
    assert!(args.source.status && args.shape.ingress_service.is_empty());
    let args = serve("seaway serve --status off --ingress-service infra/edge --lease-namespace x");
    let (fleet, service) = &args.shape.ingress_service[0];
    let found = (args.source.status, fleet.as_str(), service.to_string());
    assert_eq!(found, (false, "default", "infra/edge".to_owned()));
    assert_eq!(args.source.lease_namespace.as_deref(), Some("x"));
}

#[test]
fn a_control_plane_is_a_host_and_a_port() {
    let read = |text: &str| text.parse::<HostPort>().ok().map(|at| (at.host, at.port));
    assert_eq!(
        read("seaway.example:18000"),
        Some(("seaway.example".into(), 18000))
    );
    assert_eq!(read("[::1]:1"), Some(("::1".into(), 1)));
    for text in [
        "", ":1", "a:0", "a:65536", "::1:5", "[::1:5", "a b:1", "\"a:1",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn times_have_units() {
    assert_eq!(duration("250us"), Ok(Duration::from_micros(250)));
    assert_eq!(duration("1m"), Ok(Duration::from_secs(60)));
    assert_eq!(duration("0"), Ok(Duration::ZERO));
    for text in [
        "",
        "ms",
        "1.5s",
        "-1s",
        "5 s",
        "10",
        "99999999999999999999s",
    ] {
        assert!(duration(text).is_err(), "{text}");
    }
}

#[test]
fn services_for_gateways_need_a_cluster_where_they_are_seen() {
    let check = |flags: &str| {
        let args = serve(&format!("seaway serve --gateway-services {flags}"));
        let checked = args.shape.check_gateway_services(Some(&args.source));
        checked.err().unwrap_or_default()
    };
    let edge = "--kube --ingress-service d/edge";
    assert_eq!(check(edge), "");
    assert_eq!(check(&format!("{edge} --namespace a,d")), "");
    for (flags, named) in [
        ("--files . --ingress-service d/edge", "a folder"),
        ("--kube", "needs --ingress-service"),
        (&*format!("{edge} --status off"), "--status on"),
        (
            &format!("{edge} --service-selector a=b"),
            "--service-selector",
        ),
        (&format!("{edge} --namespace a"), "namespace d"),
        (&format!("{edge},blue=a/edge --namespace d"), "namespace a"),
    ] {
        let error = check(flags);
        assert!(error.contains(named), "{flags}: {error}");
    }
    let line = "seaway translate --files . --gateway-services --ingress-service d/edge";
    let Command::Translate(args) = parse(line).unwrap().command else {
        panic!("{line}");
    };
    assert!(args.shape.check_gateway_services(None).is_err());
    assert!(
        serve(&format!("seaway serve --gateway-services {edge}"))
            .shape
            .options(false)
            .gateway_services
    );
}

fn ask(line: &str) -> AskArgs {
    let arguments = line.split(' ').map(OsString::from).collect();
    match Cli::read(arguments).unwrap().command {
        Command::Status(args) => args.ask,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plugin_of_kubectl_asks_the_cluster_unless_it_is_told_an_address() {
    assert!(!ask("seaway status").kube);
    assert!(!ask("/usr/bin/seaway status --context a").kube);
    assert!(ask("seaway status --kube").kube);
    let plugin = ask("/usr/local/bin/kubectl-seaway status --context a --kubeconfig k");
    assert!(plugin.kube);
    assert_eq!(plugin.context.as_deref(), Some("a"));
    assert_eq!(plugin.seaway_namespace, "seaway");
    assert!(!ask("kubectl-seaway status --admin 127.0.0.1:18001").kube);
    assert!(parse("seaway status --kube --admin 127.0.0.1:18001").is_err());
}

#[test]
fn replicas_are_asked_in_plain_text_on_loopback_and_over_tls_anywhere() {
    let admin = |text: &str| text.parse::<AdminAddress>().map(|read| read.to_string());
    for (text, shown) in [
        ("127.0.0.1:18001", "127.0.0.1:18001"),
        ("[::1]:18001", "[::1]:18001"),
        ("[::ffff:127.0.0.1]:18001", "[::ffff:127.0.0.1]:18001"),
        ("http://localhost:18001", "localhost:18001"),
        ("https://10.0.0.7:18001/", "https://10.0.0.7:18001"),
        ("https://[2001:db8::1]:18001", "https://[2001:db8::1]:18001"),
        ("https://seaway.example:443", "https://seaway.example:443"),
    ] {
        assert_eq!(admin(text).as_deref(), Ok(shown));
    }
    for text in ["10.0.0.7:18001", "localhost.example:18001", "[::]:18001"] {
        let error = admin(text).unwrap_err();
        assert!(error.contains(&format!("ask https://{text}")), "{error}");
    }
    for text in [
        "",
        "18001",
        "localhost",
        "127.0.0.1:0",
        "https://host",
        "https://host:1/path",
        "https://a@b:1",
        "ftp://h:1",
        "https://https://h:1",
    ] {
        let error = admin(text).unwrap_err();
        assert!(error.contains("https://HOST:PORT"), "{text}: {error}");
    }
    let half = parse("seaway status --admin https://a:1 --admin-ca a --admin-cert b");
    assert!(half.unwrap_err().to_string().contains("--admin-key"));
}

#[test]
fn the_admin_interface_of_an_envoy_is_on_this_host() {
    for (text, address) in [
        ("localhost:9901", "127.0.0.1:9901"),
        ("127.0.0.2:9901", "127.0.0.2:9901"),
        ("[::1]:9901", "[::1]:9901"),
    ] {
        let expected = EnvoyAdmin::Port(address.parse().unwrap());
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
    for text in ["/run/envoy/admin.sock", "./a:1", "admin.sock"] {
        let expected = EnvoyAdmin::Socket(text.into());
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }
    for text in [
        "10.0.0.7:9901",
        "[::]:9901",
        "envoy.example:9901",
        "n1:9901",
    ] {
        let error = text.parse::<EnvoyAdmin>().unwrap_err();
        assert!(error.contains("is not on this host"), "{text}: {error}");
    }
    for text in ["10.0.0.7:0", "127.0.0.1:0", "[fe80::1%2]:9901"] {
        assert!(text.parse::<EnvoyAdmin>().is_err(), "{text}");
    }
}
