use anyhow::{Result, ensure};
use seaway_testing::{Stack, eventually};

#[test]
fn requests_follow_an_edited_manifest() -> Result<()> {
    let stack = Stack::builder()
        .manifests("tests/stack/manifests")
        .start()?;
    let _one = stack.backend("one", "127.83.0.1:8080")?;
    let _two = stack.backend("two", "127.83.0.2:8080")?;
    ensure!(stack.get("web.default")?.backend() == Some("one"));
    stack.edit("web.yaml", |text| text.replace("127.83.0.1", "127.83.0.2"))?;
    eventually("the other one to answer", || {
        let outcome = stack.get("web.default")?;
        ensure!(outcome.backend() == Some("two"), "{outcome}");
        Ok(())
    })
}
