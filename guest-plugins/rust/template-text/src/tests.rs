use nozzle_plugin::testing::{self, TestEvent, events};

use super::*;

fn render(template: &str, data: &str, place: Place) -> Result<String, String> {
    let event = TestEvent {
        id: "a/1",
        key: Some("k\u{e9}y"),
        timestamp_ms: 7,
        attributes: &[("region", "eu")],
        data: data.as_bytes(),
    };
    let batch = events([event]);
    let event = batch.get(0).ok_or("no event")?;
    Template::parse(template)?.render(&event, place)
}

#[test]
fn values_are_filled_in_and_fit_their_place() {
    use Place::{Body, Header, Target};
    let data = r#"{"user":"a b","n":[1,2],"deep":{"x":true},"a/b":"slash"}"#;
    let table = [
        (
            "users/{json:/user}?n={json:/n/1}",
            Target,
            Ok("users/a%20b?n=2"),
        ),
        ("{id}-{timestamp-ms}", Target, Ok("a%2F1-7")),
        ("{time}", Header, Ok("1970-01-01T00:00:00.007Z")),
        ("{key}", Target, Ok("k%C3%A9y")),
        ("{json:/a~1b}", Target, Ok("slash")),
        (
            "{key}",
            Header,
            Err("a value for a header has a control character or is not ASCII"),
        ),
        ("Bearer {json:/deep/x}", Header, Ok("Bearer true")),
        ("{attribute:region}", Header, Ok("eu")),
        ("{{\"n\":{json:/n}}}", Body, Ok("{\"n\":[1,2]}")),
        (
            "{json:/none}",
            Body,
            Err("the record has nothing at `/none`"),
        ),
        (
            "{attribute:none}",
            Body,
            Err("the record has no attribute `none`"),
        ),
    ];

    for (template, place, expected) in table {
        let found = render(template, data, place);
        assert_eq!(
            found,
            expected.map(str::to_owned).map_err(str::to_owned),
            "{template}"
        );
    }
}

#[test]
fn what_is_optional_and_missing_is_left_out() {
    let batch = events([TestEvent {
        data: br#"{"a":"","b":null}"#,
        ..TestEvent::default()
    }]);
    let event = batch.get(0).expect("the event");
    let optional = |text| Template::parse(text)?.render_optional(&event);

    assert_eq!(optional("{key}"), Ok(None));
    assert_eq!(optional("x-{attribute:none}"), Ok(None));
    assert_eq!(optional("{json:/none}"), Ok(None));
    assert_eq!(optional("{json:/a}"), Ok(None));
    assert_eq!(optional("{json:/b}"), Ok(Some("null".to_owned())));
    assert_eq!(optional("x{json:/a}"), Ok(Some("x".to_owned())));
    let batch = testing::batch([&b"no JSON"[..]]);
    let event = batch.get(0).expect("the event");
    let unfit = Template::parse("{json:/a}").and_then(|json| json.render_optional(&event));
    assert!(unfit.is_err());
}

#[test]
fn values_are_written_as_the_caller_says() {
    let batch = testing::batch([&b"a<b"[..]]);
    let event = batch.get(0).expect("the event");
    let template = Template::parse("<{data}>").expect("a template");

    let found = template.render_with(&event, |out, value| {
        out.push_str(&value.replace('<', "&lt;"))
    });

    assert_eq!(found.as_deref(), Ok("<a&lt;b>"));
}

#[test]
fn a_line_break_in_a_record_cannot_split_a_header() {
    assert!(render("{data}", "a\r\nHost: evil", Place::Header).is_err());
    assert_eq!(
        render("{data}", "a\r\nb", Place::Target).as_deref(),
        Ok("a%0D%0Ab")
    );
}

#[test]
fn a_record_cannot_choose_another_resource() {
    let table = [
        ("users/{data}", "..", false),
        ("users/{data}", ".", false),
        ("users/{data}", "", false),
        ("users/{data}/orders", "..", false),
        ("{data}", "", false),
        ("a{data}", ".", true),
        (".{data}", ".", false),
        ("users/{data}{data}", ".", false),
        ("users/{data}?x=1", "", false),
        ("users/{data}", "...", true),
        ("users/{data}", "../admin", true),
        ("users/u{data}", "", true),
        ("users?q={data}", "", true),
        ("users?q={data}", "..", true),
        ("users?q=a/{data}", "..", true),
        ("../v2/{data}", "x", true),
    ];

    for (template, data, passes) in table {
        let found = render(template, data, Place::Target);
        assert_eq!(found.is_ok(), passes, "{template} with `{data}`: {found:?}");
    }
    assert_eq!(
        render("users/{data}", "../admin", Place::Target).as_deref(),
        Ok("users/..%2Fadmin")
    );
}

#[test]
fn a_template_that_makes_no_sense_is_refused_with_the_names_that_do() {
    let unknown = Template::parse("{uuid}").expect_err("there is no such value");

    assert!(unknown.contains("`{uuid}` is none of id, key"), "{unknown}");
    assert!(Template::parse("{id").is_err());
    assert!(Template::parse("{json:a}").is_err());
    assert_eq!(
        Template::parse("{{}}").expect("braces").constant(),
        Some("{}")
    );
}
