//! Pages of a list: bounded, and continued by a key the store understands. The token a caller sees is made of it in `api`.

/// Items in a page when the caller does not say.
pub const PAGE_SIZE_DEFAULT: usize = 50;
/// Most items in a page.
pub const PAGE_SIZE_MAX: usize = 1000;

/// What part of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageArgs<K> {
    /// Key of the last item of the page before; `None` for the first page.
    pub after: Option<K>,
    /// Most items to give, 1 to [`PAGE_SIZE_MAX`].
    pub size: usize,
}

impl<K> PageArgs<K> {
    /// Arguments from a caller's wish: 0 means [`PAGE_SIZE_DEFAULT`], more than [`PAGE_SIZE_MAX`] is clamped.
    pub fn new(after: Option<K>, size: u32) -> Self {
        let size = if size == 0 { PAGE_SIZE_DEFAULT } else { (size as usize).min(PAGE_SIZE_MAX) };
        Self { after, size }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, K> {
    /// The items.
    pub items: Vec<T>,
    /// Key to continue after; `None` at the end.
    pub next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// A page from up to `size + 1` items that a store read: the extra item says that there is more.
    pub fn cut(mut items: Vec<T>, size: usize, key: impl Fn(&T) -> K) -> Self {
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }
}
