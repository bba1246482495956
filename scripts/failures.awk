# The lines of a go test -v log that belong to what failed: of each test that failed its own, and all that belongs to no test
# (a build that failed, a panic with its stacks).
/^=== (RUN|CONT|NAME|PAUSE) / { now = $3; next }
/^ *--- (PASS|SKIP): / { delete text[$3]; now = ""; next }
/^ *--- FAIL: / {
  if (!($3 in bad)) { bad[$3] = 1; order[++n] = $3 }
  now = ""
  next
}
/^(panic: |fatal error: )/ && now != "" && !(now in bad) { bad[now] = 1; order[++n] = now }
/^(ok  |\?   |PASS$|testing: warning)/ { next }
{ text[now] = text[now] $0 "\n" }
END {
  for (i = 1; i <= n; i++) printf "== %s\n%s", order[i], text[order[i]]
  printf "%s", text[""]
}
