//! Small builders of what ingress proxies serve: Ingresses, Gateways and HTTPRoutes. They print
//! YAML; what is particular to a test is given in YAML's flow style.

/// The moment so many seconds after a fixed one.
fn moment(second: u8) -> String {
    format!("2026-01-01T00:00:{second:02}Z")
}

/// A text as YAML has it, whatever its characters.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Apiversion, kind and metadata.
#[derive(Clone, Debug)]
struct Head {
    api: &'static str,
    kind: &'static str,
    namespace: String,
    name: String,
    created: u8,
    annotations: Vec<String>,
}

impl Head {
    fn new(api: &'static str, kind: &'static str, name: &str) -> Self {
        Self {
            api,
            kind,
            namespace: "default".to_owned(),
            name: name.to_owned(),
            created: 0,
            annotations: Vec::new(),
        }
    }

    fn document(&self) -> String {
        format!(
            "apiVersion: {}\nkind: {}\nmetadata: {{name: {}, namespace: {}, creationTimestamp: '{}', \
             annotations: {{{}}}}}\nspec:\n",
            self.api,
            self.kind,
            self.name,
            self.namespace,
            moment(self.created),
            self.annotations.join(", "),
        )
    }
}

const GATEWAY_API: &str = "gateway.networking.k8s.io/v1";

/// Makes the methods that set the metadata.
macro_rules! metadata {
    ($manifest:ty) => {
        impl $manifest {
            /// Puts it into another namespace than `default`.
            #[must_use]
            pub fn namespace(mut self, namespace: &str) -> Self {
                namespace.clone_into(&mut self.head.namespace);
                self
            }

            /// It was created so many seconds after those that do not say it.
            #[must_use]
            pub fn created(mut self, second: u8) -> Self {
                self.head.created = second;
                self
            }
        }
    };
}

metadata!(RouteManifest);
metadata!(GatewayManifest);
metadata!(IngressManifest);

/// An HTTPRoute being built.
#[derive(Clone, Debug)]
pub struct RouteManifest {
    head: Head,
    parents: Vec<String>,
    hosts: Vec<String>,
    rules: Vec<String>,
}

impl RouteManifest {
    /// A route of the namespace `default` without rules, whose parent is the Gateway `g` there.
    pub fn new(name: &str) -> Self {
        Self {
            head: Head::new(GATEWAY_API, "HTTPRoute", name),
            parents: Vec::new(),
            hosts: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// Adds a parent, instead of `g`: `name: other, sectionName: a`.
    #[must_use]
    pub fn parent(mut self, fields: &str) -> Self {
        self.parents.push(format!("{{{fields}}}"));
        self
    }

    /// Adds a host name.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.hosts.push(quoted(host));
        self
    }

    /// Adds a rule with these fields and one backend: port 8080 of a Service of the namespace.
    #[must_use]
    pub fn rule(self, fields: &str, backend: &str) -> Self {
        let comma = if fields.is_empty() { "" } else { ", " };
        self.only(&format!(
            "{fields}{comma}backendRefs: [{{name: {backend}, port: 8080}}]"
        ))
    }

    /// [`RouteManifest::rule`] for the paths below a prefix.
    #[must_use]
    pub fn prefix(self, path: &str, backend: &str) -> Self {
        let matches = format!("matches: [{{path: {{value: {}}}}}]", quoted(path));
        self.rule(&matches, backend)
    }

    /// Adds a rule with these fields alone.
    #[must_use]
    pub fn only(mut self, fields: &str) -> Self {
        self.rules.push(format!("{{{fields}}}"));
        self
    }

    /// The manifest.
    pub fn document(&self) -> String {
        let parents = match self.parents.is_empty() {
            true => "{name: g}".to_owned(),
            false => self.parents.join(", "),
        };
        let mut text = self.head.document() + &format!("  parentRefs: [{parents}]\n");
        if !self.hosts.is_empty() {
            text += &format!("  hostnames: [{}]\n", self.hosts.join(", "));
        }
        text += "  rules:\n";
        for rule in &self.rules {
            text += &format!("  - {rule}\n");
        }
        text
    }
}

/// A Gateway being built.
#[derive(Clone, Debug)]
pub struct GatewayManifest {
    head: Head,
    class: String,
    listeners: Vec<String>,
    spec: String,
}

impl GatewayManifest {
    /// A Gateway of the class `ours` and the namespace `default` without listeners.
    pub fn new(name: &str) -> Self {
        Self {
            head: Head::new(GATEWAY_API, "Gateway", name),
            class: "ours".to_owned(),
            listeners: Vec::new(),
            spec: String::new(),
        }
    }

    /// Of another class.
    #[must_use]
    pub fn class(mut self, class: &str) -> Self {
        class.clone_into(&mut self.class);
        self
    }

    /// Adds an HTTP listener of port 80 for a host name, `""` for all.
    #[must_use]
    pub fn listener(self, name: &str, host: &str) -> Self {
        let host = match host {
            "" => String::new(),
            host => format!(", hostname: {}", quoted(host)),
        };
        self.only(&format!("name: {name}, port: 80, protocol: HTTP{host}"))
    }

    /// Adds an HTTPS listener of port 443 for a host name, `""` for all, with the certificates of
    /// these Secrets of the namespace.
    #[must_use]
    pub fn secured(self, name: &str, host: &str, secrets: &[&str]) -> Self {
        let refs = secrets.iter().map(|secret| format!("{{name: {secret}}}"));
        let refs = refs.collect::<Vec<_>>().join(", ");
        self.only(&format!(
            "name: {name}, port: 443, protocol: HTTPS, hostname: {}, \
             tls: {{certificateRefs: [{refs}]}}",
            quoted(host)
        ))
    }

    /// Adds a listener with these fields alone.
    #[must_use]
    pub fn only(mut self, fields: &str) -> Self {
        self.listeners.push(format!("{{{fields}}}"));
        self
    }

    /// Adds a field of the spec.
    #[must_use]
    pub fn spec(mut self, field: &str) -> Self {
        self.spec += &format!("  {field}\n");
        self
    }

    /// The manifest.
    pub fn document(&self) -> String {
        let mut text = self.head.document();
        text += &format!("  gatewayClassName: {}\n{}", self.class, self.spec);
        text += "  listeners:\n";
        for listener in &self.listeners {
            text += &format!("  - {listener}\n");
        }
        text
    }
}

/// A Secret of the namespace `default` with this certificate chain and key, both in PEM.
pub fn secret(name: &str, chain: &str, key: &str) -> String {
    let indented = |text: &str| -> String {
        let lines = text.lines().map(|line| format!("    {line}\n"));
        lines.collect()
    };
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: default}}\n\
         type: kubernetes.io/tls\nstringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
        indented(chain),
        indented(key)
    )
}

/// An Ingress being built.
#[derive(Clone, Debug)]
pub struct IngressManifest {
    head: Head,
    class: Option<String>,
    /// The fields of each rule, and its paths.
    rules: Vec<(String, Vec<String>)>,
    default_backend: Option<String>,
    tls: Vec<String>,
}

/// Port 8080 of a Service, as an Ingress names it.
fn service(name: &str) -> String {
    format!("{{service: {{name: {name}, port: {{number: 8080}}}}}}")
}

impl IngressManifest {
    /// An Ingress of the class `ours` and the namespace `default` without rules.
    pub fn new(name: &str) -> Self {
        Self {
            head: Head::new("networking.k8s.io/v1", "Ingress", name),
            class: Some("ours".to_owned()),
            rules: Vec::new(),
            default_backend: None,
            tls: Vec::new(),
        }
    }

    /// Of another class; `""` for none.
    #[must_use]
    pub fn class(mut self, class: &str) -> Self {
        self.class = Some(class.to_owned()).filter(|class| !class.is_empty());
        self
    }

    /// Sets an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        let value = quoted(value);
        self.head.annotations.push(format!("{key}: {value}"));
        self
    }

    /// Adds a rule for a host, `""` for none; paths that follow are of it.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        let host = match host {
            "" => String::new(),
            host => format!("host: {}", quoted(host)),
        };
        self.rules.push((host, Vec::new()));
        self
    }

    /// Adds a path of the host added last, to port 8080 of a Service of the namespace.
    #[must_use]
    pub fn path(self, kind: &str, path: &str, backend: &str) -> Self {
        self.path_to(kind, path, &service(backend))
    }

    /// [`IngressManifest::path`] to a backend in YAML.
    #[must_use]
    pub fn path_to(mut self, kind: &str, path: &str, backend: &str) -> Self {
        let path = quoted(path);
        if let Some((_, paths)) = self.rules.last_mut() {
            paths.push(format!(
                "{{pathType: {kind}, path: {path}, backend: {backend}}}"
            ));
        }
        self
    }

    /// Serves these hosts, all without any, with the certificate of a Secret of the namespace.
    #[must_use]
    pub fn secured(mut self, hosts: &[&str], secret: &str) -> Self {
        let hosts: Vec<String> = hosts.iter().map(|host| quoted(host)).collect();
        let hosts = match hosts.is_empty() {
            true => String::new(),
            false => format!("hosts: [{}], ", hosts.join(", ")),
        };
        self.tls.push(format!("{{{hosts}secretName: {secret}}}"));
        self
    }

    /// Sends what no rule is for to port 8080 of a Service of the namespace.
    #[must_use]
    pub fn default_backend(mut self, backend: &str) -> Self {
        self.default_backend = Some(service(backend));
        self
    }

    /// The manifest.
    pub fn document(&self) -> String {
        let mut text = self.head.document();
        if let Some(class) = &self.class {
            text += &format!("  ingressClassName: {class}\n");
        }
        if let Some(backend) = &self.default_backend {
            text += &format!("  defaultBackend: {backend}\n");
        }
        if !self.tls.is_empty() {
            text += &format!("  tls: [{}]\n", self.tls.join(", "));
        }
        if !self.rules.is_empty() {
            text += "  rules:\n";
        }
        for (host, paths) in &self.rules {
            let comma = if host.is_empty() { "" } else { ", " };
            text += &match paths.is_empty() {
                true => format!("  - {{{host}}}\n"),
                false => format!(
                    "  - {{{host}{comma}http: {{paths: [{}]}}}}\n",
                    paths.join(", ")
                ),
            };
        }
        text
    }
}
