use super::*;

#[test]
fn what_people_write_is_read_and_printed_as_it_can_be_asked_again() {
    for (text, printed) in [
        ("shop/web", "shop/web"),
        ("web", "ns/web"),
        ("svc/web", "ns/web"),
        ("svc/shop/web:80", "shop/web:80"),
        ("web:http", "ns/web:http"),
        ("shop/dns:53/UDP", "shop/dns:53/udp"),
        ("10.96.0.11:80", "10.96.0.11:80"),
        ("10.96.0.11:53/udp", "10.96.0.11:53/udp"),
        ("[fd00::1]:80/tcp", "[fd00::1]:80"),
        ("http://Web.Shop", "http://web.shop/"),
        ("http://10.96.0.11", "http://10.96.0.11/"),
        ("http://[FD00:0::10]:8080/x", "http://[fd00::10]:8080/x"),
        ("http://[fd00::10]", "http://[fd00::10]/"),
        ("http://web", "http://web/"),
        ("https://a.test:8443/x?y=1", "https://a.test:8443/x"),
        ("xds:///Shop.default:50051", "xds:///shop.default:50051"),
        ("XDS:///shop.default.", "xds:///shop.default"),
        (
            "web.shop.svc.cluster.local",
            "http://web.shop.svc.cluster.local/",
        ),
        ("ingress/web", "ingress/ns/web"),
        ("gateway/infra/g", "gateway/infra/g"),
        ("httproute/r", "httproute/ns/r"),
        (
            "resource a/b/80@clusterip:10.0.0.1:80",
            "resource a/b/80@clusterip:10.0.0.1:80",
        ),
    ] {
        let question = Question::read(text, "ns").unwrap();
        assert_eq!(question.to_string(), printed, "{text}");
        assert_eq!(
            Question::read(printed, "other").unwrap(),
            question,
            "{printed}"
        );
    }
}

#[test]
fn what_is_no_question_says_why() {
    for (text, why) in [
        ("10.96.0.11", "10.96.0.11 lacks a port: 10.96.0.11:80"),
        ("node/n1", "a node cannot be explained"),
        ("ftp://web", "ftp:// is not served"),
        ("http://[fd00::x]/", "is not a host name"),
        ("http://fd00::10/", "is not a host name"),
        ("web:80/x", "\"x\" is no protocol"),
        ("Web!", "is none of: a Service"),
        ("10.96.0.11:0", "a port is a number"),
    ] {
        let error = Question::read(text, "ns").unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
    assert!(Question::read(&"a".repeat(3000), "ns").is_err());
}
