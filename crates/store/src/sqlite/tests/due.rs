//! Query plans of the search for due deliveries: it reads only the rows that it returns.

use super::{TestStore, plans::query_plan};

#[test]
fn waiting_deliveries_of_other_channels_are_not_scanned() {
    let fixture = TestStore::new();
    let due_plan = query_plan(&fixture.foreign_connection(), sql!("sqlite/claim/select_due"));
    assert_eq!(due_plan.len(), 1, "one search, no sorting: {due_plan:?}");
    let search = "INDEX deliveries_due (channel=? AND priority=? AND due_at<?)";
    assert!(due_plan[0].ends_with(search), "{due_plan:?}");
    let channels_plan = query_plan(&fixture.foreign_connection(), sql!("sqlite/claim/list_waiting_channels"));
    assert!(channels_plan.iter().any(|step| step.ends_with("(channel>?)")), "{channels_plan:?}");
    let is_sort = |step: &String| step.contains("TEMP B-TREE");
    assert!(!channels_plan.iter().any(is_sort), "{channels_plan:?}");
}
