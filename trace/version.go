package trace

// version is the version of this module, and that of the instrumentation scope.
const version = "0.1.0"
