//! A server that was away, and may have come back as an older one.

use super::*;
use crate::kube::cursor::doubt::TRIES;

#[test]
fn a_server_that_was_away_is_asked_whether_it_got_as_far_as_before() {
    let mut cursor = Cursor::new(SERVICES, None);
    page(&mut cursor, &list(&[service("a", 5)], 10, ""));
    let away = Failure::Unreachable("refused".into());
    cursor.failed(&away);
    assert_eq!(cursor.ask(), Ask::Check { version: "10" });
    cursor.failed(&away);
    assert_eq!(cursor.ask(), Ask::Check { version: "10" });
    cursor.checked("12").unwrap();
    assert_eq!(cursor.ask(), Ask::Watch { version: "10" });
    // It was restored from a backup: for it, version 10 lies in the future.
    cursor.failed(&away);
    let ahead = json!({
        "status": "Failure", "code": 504, "reason": "Timeout", "message": "Too large resource version: 10, current: 7",
        "details": {"retryAfterSeconds": 1, "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]},
    });
    let status: kube::core::Status = serde_json::from_value(ahead).unwrap();
    cursor.failed(&status.into());
    assert_eq!(cursor.ask(), Ask::StreamList);
    cursor.opened();
    assert_eq!(
        cursor.line(&bookmark(7, true)).unwrap().map(|_| ()),
        Some(())
    );
    assert_eq!(cursor.ask(), Ask::Watch { version: "7" });
}

/// A cursor at version 10 that has just lost its server.
fn away() -> Cursor {
    let mut cursor = Cursor::new(SERVICES, None);
    page(&mut cursor, &list(&[service("a", 5)], 10, ""));
    cursor.failed(&Failure::Unreachable("refused".into()));
    cursor
}

#[test]
fn a_server_that_refuses_everything_while_it_starts_is_asked_until_it_says_how_far_it_is() {
    let mut cursor = away();
    for code in [403, 401, 429, 500, 503, 403] {
        assert_eq!(cursor.ask(), Ask::Check { version: "10" });
        assert!(!cursor.failed(&refused(code)));
        // Whether it means that shows when it is asked for something else.
        assert_eq!(cursor.ask(), Ask::Watch { version: "10" });
        assert!(!cursor.failed(&refused(code)));
    }
    assert!(!cursor.failed(&refused(403)));
    cursor.opened();
    assert_eq!(cursor.ask(), Ask::Check { version: "10" });
    assert!(!cursor.failed(&refused(410)));
    assert_eq!(cursor.ask(), Ask::StreamList);
}

#[test]
fn a_server_that_lets_us_watch_but_not_list_is_watched() {
    let mut cursor = away();
    assert!(!cursor.failed(&refused(403)));
    cursor.opened();
    assert!(cursor.failed(&refused(403)));
    assert_eq!(cursor.ask(), Ask::Watch { version: "10" });
    // One that is busy may find the time.
    let mut cursor = away();
    assert!(!cursor.failed(&refused(429)));
    cursor.opened();
    let tries = (1..).find(|_| {
        assert_eq!(cursor.ask(), Ask::Check { version: "10" });
        cursor.failed(&refused(429))
    });
    assert_eq!(tries, Some(usize::from(TRIES) + 1));
    assert_eq!(cursor.ask(), Ask::Watch { version: "10" });
}

#[test]
fn a_server_that_is_not_as_far_as_it_was_is_listed_anew_whoever_says_so() {
    let mut cursor = away();
    let failure = cursor.checked("7").unwrap_err();
    assert!(failure.is_gone(), "{failure}");
    for line in [event("MODIFIED", &service("a", 4)), bookmark(4, false)] {
        let mut cursor = listed();
        let failure = cursor.line(&line).unwrap_err();
        cursor.failed(&failure);
        assert_eq!(cursor.ask(), Ask::StreamList, "{failure}");
    }
    // What is gone may be shown as it was last.
    let mut cursor = listed();
    let news = cursor.line(&event("DELETED", &service("a", 4)));
    assert!(matches!(news, Ok(Some(News::Delete(_)))), "{news:?}");
    assert_eq!(cursor.ask(), Ask::Watch { version: "5" });
    // What is said twice is not earlier.
    let mut cursor = listed();
    assert!(cursor.line(&event("MODIFIED", &service("a", 5))).is_ok());
}
