use super::*;

fn text(line: &ProgressLine) -> String {
    line.0.lock().text()
}

#[test]
fn a_line_without_length_is_a_counter() {
    let line = ProgressLine::new(None, "rows compared:");
    line.add(2);
    line.add(3);
    assert_eq!(text(&line), "rows compared: 5");
}

#[test]
fn a_line_with_a_length_shows_the_percentage() {
    let line = ProgressLine::new(Some(200), "rows copied");
    line.set_position(50);
    assert_eq!(text(&line), "rows copied 50/200 (25 %)");
    line.set_position_of(30, 40);
    assert_eq!(text(&line), "rows copied 30/40 (75 %)");
    line.set_label("waiting", 40);
    assert_eq!(text(&line), "waiting 40/40 (100 %)");
}

#[test]
fn the_length_grows_with_the_position() {
    let line = ProgressLine::new(Some(0), "rows copied");
    assert_eq!(text(&line), "rows copied 0/0 (0 %)");
    line.set_position(7);
    assert_eq!(text(&line), "rows copied 7/7 (100 %)");
}
