//! What the server says of a statement it ran, and what is too much: pages, rows that were walked over, entries that were
//! gone through, pairs that were compared.

/// Pages a statement may read for each row it speaks of, in the tables and in all their indexes.
const PAGES_FOR_A_ROW: u64 = 40;

/// Pages a statement may read besides: the roots of the indexes of twelve months.
const PAGES_FOR_ALL: u64 = 150;

/// Rows of a table that is small enough to be read from one end to the other.
const SCANNED_ROWS_MAX: u64 = 10_000;

/// What the server says of a statement it ran.
pub struct QueryPlan {
    /// Of the file.
    pub name: &'static str,
    /// As `EXPLAIN` prints it.
    pub text: String,
}

impl QueryPlan {
    /// Pages read, found in memory or not, in planning or not.
    fn pages(&self) -> u64 {
        let first = self.text.lines().find(|line| line.contains("Buffers: shared"));
        let words = first.unwrap_or_default().split_whitespace();
        let counts = words.filter_map(|word| word.strip_prefix("hit=").or(word.strip_prefix("read=")));
        counts.map(|count| count.parse::<u64>().unwrap()).sum()
    }

    /// Rows that were found by reading a table from one end to the other.
    fn scanned_rows(&self) -> u64 {
        let mut walked = 0;
        let mut walks = false;
        for line in self.text.lines() {
            if line.contains("->") || line.contains("actual rows=") {
                walks = line.contains("Seq Scan on ");
                walked += if walks { number_after(line, "rows=") } else { 0 };
            } else if walks {
                walked += number_after(line, "Rows Removed by Filter: ");
            }
        }
        walked
    }

    /// Entries of indexes that were gone through, to be put together with those of others.
    fn bitmap_entries(&self) -> u64 {
        let lists = self
            .text
            .lines()
            .filter(|line| line.contains("Bitmap Index Scan on "));
        lists.map(|line| number_after(line, "rows=")).sum()
    }

    /// Pairs of rows that were compared and did not belong together.
    fn rejected_joins(&self) -> u64 {
        let lines = self.text.lines();
        lines
            .map(|line| number_after(line, "Rows Removed by Join Filter: "))
            .sum()
    }

    /// What is wrong with it, when more was read than so many rows need.
    pub fn problem(&self, rows: i64) -> Option<String> {
        let pages_max = PAGES_FOR_ALL + PAGES_FOR_A_ROW * u64::try_from(rows).unwrap();
        let pages = self.pages();
        let most = self
            .scanned_rows()
            .max(self.bitmap_entries())
            .max(self.rejected_joins());
        // Where it speaks of a good part of a table, less than a page for each row is less than an index would cost.
        let is_in_vain = most > SCANNED_ROWS_MAX && pages > u64::try_from(rows).unwrap();
        let fits = !is_in_vain && (1..=pages_max).contains(&pages);
        (!fits).then(|| {
            let name = self.name;
            format!(
                "{name} reads {pages} pages, and {pages_max} are enough:\n{}",
                self.text
            )
        })
    }
}

fn number_after(line: &str, words: &str) -> u64 {
    let rest = line.split(words).nth(1).unwrap_or_default();
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next();
    digits.unwrap_or_default().parse().unwrap_or_default()
}
