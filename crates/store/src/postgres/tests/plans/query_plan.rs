//! Reads the output of `EXPLAIN ANALYZE` and limits what a statement may read: pages, scanned rows, bitmap entries, and
//! rejected pairs of joins.

/// Maximum number of pages per row that a statement is about, in tables and indexes.
const PAGES_FOR_A_ROW: u64 = 40;

/// Number of pages in addition: the roots of the indexes of twelve partitions.
const PAGES_FOR_ALL: u64 = 150;

/// Maximum number of rows of a table that may be scanned as a whole.
const SCANNED_ROWS_MAX: u64 = 10_000;

/// The plan of a statement and what it read.
pub struct QueryPlan {
    /// `<subject>/<name>` of the statement.
    pub name: &'static str,
    /// Output of `EXPLAIN (ANALYZE, BUFFERS)`.
    pub text: String,
}

impl QueryPlan {
    /// Returns the number of pages read from disk or memory.
    fn pages(&self) -> u64 {
        let first = self.text.lines().find(|line| line.contains("Buffers: shared"));
        let words = first.unwrap_or_default().split_whitespace();
        let counts = words.filter_map(|word| word.strip_prefix("hit=").or(word.strip_prefix("read=")));
        counts.map(|count| count.parse::<u64>().unwrap()).sum()
    }

    /// Returns the number of rows in sequential scans.
    fn scanned_rows(&self) -> u64 {
        let mut scanned = 0;
        let mut is_scan = false;
        for line in self.text.lines() {
            if line.contains("->") || line.contains("actual rows=") {
                is_scan = line.contains("Seq Scan on ");
                scanned += if is_scan { number_after(line, "rows=") } else { 0 };
            } else if is_scan {
                scanned += number_after(line, "Rows Removed by Filter: ");
            }
        }
        scanned
    }

    /// Returns the number of index entries in bitmap scans.
    fn bitmap_entries(&self) -> u64 {
        let lists = self.text.lines().filter(|line| line.contains("Bitmap Index Scan on "));
        lists.map(|line| number_after(line, "rows=")).sum()
    }

    /// Returns the number of pairs that joins rejected.
    fn rejected_joins(&self) -> u64 {
        let lines = self.text.lines();
        lines.map(|line| number_after(line, "Rows Removed by Join Filter: ")).sum()
    }

    /// Returns the problem of a statement that is about `rows` rows and read too much.
    pub fn problem(&self, rows: i64) -> Option<String> {
        let pages_max = PAGES_FOR_ALL + PAGES_FOR_A_ROW * u64::try_from(rows).unwrap();
        let pages = self.pages();
        let most = self.scanned_rows().max(self.bitmap_entries()).max(self.rejected_joins());
        // A scan of many rows is fine if it reads less than a page per row: an index would cost more.
        let is_wasteful = most > SCANNED_ROWS_MAX && pages > u64::try_from(rows).unwrap();
        let fits = !is_wasteful && (1..=pages_max).contains(&pages);
        (!fits).then(|| {
            let name = self.name;
            format!("{name} reads {pages} pages, more than {pages_max}:\n{}", self.text)
        })
    }
}

fn number_after(line: &str, words: &str) -> u64 {
    let rest = line.split(words).nth(1).unwrap_or_default();
    let digits = rest.split(|character: char| !character.is_ascii_digit()).next();
    digits.unwrap_or_default().parse().unwrap_or_default()
}
