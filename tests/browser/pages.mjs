// Every page: its name in docs/images, its address below /ui/, and its status unless it is 200. All are opened by an
// administrator, in light and dark, on a desk and on a phone; add a page, and it is tested.
export const PAGES = [
  ["home", ""],
  ["flat", "?view=flat"],
  ["nothing-found", "?repositories=zzz"],
  ["repository", "repositories/web/api"],
  ["no-tag-found", "repositories/web/api?tags=zzz"],
  ["untagged", "untagged/web/api"],
  ["trash", "trash/web/api"],
  ["tag", "images/web/api/latest"],
  ["image", "images/web/api/pr-431"],
  ["history", "history/web/api/latest"],
  ["compare-form", "compare"],
  ["compare", "compare?from=web/api:1.8.2&to=web/api:1.8.3"],
  ["delete", "delete/web/api/main"],
  ["usage", "usage"],
  ["activity", "activity"],
  ["tokens", "tokens"],
  ["upstreams", "upstreams"],
  ["webhooks", "webhooks"],
  ["login", "login"],
  ["error", "none", 404],
];
