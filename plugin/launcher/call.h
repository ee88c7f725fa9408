// The call as the runtime makes it: environment and standard input.
#pragma once

// Begins the request with CNI's variables; then standard input, up to its end.
void put_environment(char **variables);
void put_stdin(void);
void find_version(void);
// Opens what the call names by path, where this process sees it: the agent may live in other namespaces.
void open_names(void);
void put_header(void);
