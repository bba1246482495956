# all.awk: the table of all.sh. The first file are the aims, the second the lines of BenchmarkPairs with server and TLS in front,
# the third the figures of TestScale.
FNR == 1 { file++ }
/^#/ { next }
file == 1 && $1 == "scale" { scale[$2] = $3; next }
file == 1 { aim[$1, "false"] = $2; aim[$1, "skip-verify"] = $3; next }
file == 2 {
  split($3, path, /[\/]/)
  sub(/-[0-9]+$/, "", path[2])
  delete v
  for (i = 6; i < NF; i++) v[$(i + 1)] = $i
  a = aim[path[2], $2]
  if (!head++) print "| server | TLS | work | median (quartiles) | aim | | allocations | plain µs |\n|---|---|---|---|---|---|---|---|"
  late = v["median"] > a + 0.01
  missed += late
  printf "| %s | %s | %s | %.3f (%.3f–%.3f) | ≤ %s | %s | %.0f → %.0f | %.1f |\n", $1, $2 == "false" ? "no" : "yes", path[2], v["median"],
    v["q1"], v["q3"], a, late ? "missed" : "ok", v["plain-allocs/op"], v["seqguard-allocs/op"], v["plain-cpu-ns/op"] / 1000
  next
}
file == 3 {
  split($0, f, "\t")
  a = ""
  for (word in scale) if (index(f[1], word)) a = scale[word]
  if (index(f[1], "one connection")) one = f[2]
  if (index(f[1], "in turn")) a = one + 0.02
  if (!scales++) print "\n| 9,900 connections | | aim | |\n|---|---|---|---|"
  late = a != "" && f[2] > a + 0.01
  missed += late
  printf "| %s | %s %s | %s | %s |\n", f[1], f[2], f[3], a == "" ? "" : "≤ " a, a == "" ? "" : late ? "missed" : "ok"
}
END {
  if (!head) { print "there are no figures"; exit 2 }
  if (missed) { printf "\n%d aims missed\n", missed; exit 1 }
}
