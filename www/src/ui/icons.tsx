/** Line icons, drawn on a 24 grid. They are decoration: the words beside them carry the meaning. */
const shapes = {
  customers:
    "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7ZM2.500 20c.6-3.600 3-5.500 6.500-5.500" +
    "s5.900 1.900 6.500 5.500M16 4.300a3.500 3.500 0 0 1 0 6.400M18 14.900c2 .7 3.200 2.400 3.500 5.100",
  proposals: "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h4",
  movies: "M4 5h16v14H4zM8 5v14M16 5v14M4 9.600h4M4 14.300h4M16 9.600h4M16 14.300h4",
  records:
    "M4 6c0-1.700 3.600-3 8-3s8 1.300 8 3-3.600 3-8 3-8-1.300-8-3ZM4 6v12c0 1.700 3.600 3 8 3s8-1.300 8-3" +
    "V6M4 12c0 1.700 3.600 3 8 3s8-1.300 8-3",
  import: "M12 3v12M7.500 10.500 12 15l4.500-4.500M4 17v3h16v-3",
  queue: "M4 6h16M4 12h16M4 18h10",
  health: "M3 12h4l3-7 4 14 3-7h4",
  sync:
    "M4 12a8 8 0 0 1 13.700-5.600L20 8.500M20 4v4.500h-4.500M20 12a8 8 0 0 1-13.700 5.600L4 15.500M4 20" +
    "v-4.500h4.500",
  search: "M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13ZM15.500 15.500 20 20",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  back: "M15 5l-7 7 7 7",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.500 11v5M13.500 11v5",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7.500V12l3 2",
  check: "M5 12.500l4.500 4.500L19 7.500",
  warning: "M12 4 2.800 20h18.400zM12 10v4.500M12 17.300v.2",
  fork: "M7 5v4a5 5 0 0 0 5 5 5 5 0 0 0 5-5V5M12 14v6",
  download: "M12 4v11M7.500 10.500 12 15l4.500-4.500M5 20h14",
  sun:
    "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM12 2.500V5M12 19v2.500M2.500 12H5M19 12h2.500M5.300 5.300" +
    "l1.700 1.700M17 17l1.700 1.700M5.300 18.700 7 17M17 7l1.700-1.700",
  menu: "M5 7h14M5 12h14M5 17h14",
  phone:
    "M6 3h4l1.500 5-2.200 1.500a12 12 0 0 0 5.200 5.200L16 12.500l5 1.500v4c0 1.700-1.300 3-3 3" +
    "C10.300 21 3 13.700 3 6c0-1.700 1.300-3 3-3Z",
  empty: "M3 15c3-3.500 6-3.500 9 0s6 3.500 9 0M3 10c3-3.500 6-3.500 9 0s6 3.500 9 0",
} as const;

export type IconName = keyof typeof shapes;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={shapes[name]} />
    </svg>
  );
}

export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 64 64" aria-hidden="true" focusable="false">
      <rect width="64" height="64" rx="15" fill="#0e6663" />
      <path d="M11 25c7-8 14-8 21 0s14 8 21 0" stroke="#e8f6f3" />
      <path d="M11 41c7-8 14-8 21 0s14 8 21 0" stroke="#6fd0c3" />
    </svg>
  );
}
