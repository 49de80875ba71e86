//! A kind of which only what somebody names is wanted.

use super::*;

/// Gateway rule 38: what nobody names ends where its name is read.
#[test]
fn an_object_that_is_not_wanted_is_passed_over_and_counts_for_how_far_the_watch_is() {
    let secret = |name: &str, version: u32| {
        json!({
            "kind": "Secret", "apiVersion": "v1", "type": "Opaque",
            "metadata": {"namespace": "d", "name": name, "resourceVersion": version.to_string()},
        })
    };
    let (resource, wants) = (Resource::of(ObjectKind::Secret), Wants::default());
    let id = |name: &str| ObjectId::new(ObjectKind::Secret, &"d".into(), &name.into());
    wants.name(&id("a"));
    let mut cursor = Cursor::new(resource, Some(wants.clone()));
    // Whatever is wrong with the other one is nobody's business.
    let mut bad = secret("b", 4);
    bad["metadata"]["annotations"] = json!([1]);
    let mut list: Value = serde_json::from_slice(&list(&[secret("a", 3), bad], 5, "")).unwrap();
    list["kind"] = json!("SecretList");
    let list = list.to_string();
    let page = Page::parse(list.as_bytes(), resource).unwrap();
    assert_eq!(names(cursor.page(&page).unwrap()), ["a"]);
    assert_eq!(cursor.line(&event("MODIFIED", &secret("b", 7))), Ok(None));
    assert_eq!(cursor.ask(), Ask::Watch { version: "7" });
    wants.name(&id("b"));
    let news = cursor.line(&event("MODIFIED", &secret("b", 8))).unwrap();
    assert!(matches!(news, Some(News::Apply(item)) if item.id == id("b")));
}
