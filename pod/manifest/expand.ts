/** `$(NAME)` in commands, arguments and variables (Kubernetes' `third_party/forked/golang/expansion`). */

/** A reference to what is not there stays as it is; `$$` is a dollar sign. */
export const expand = (text: string, variables: ReadonlyMap<string, string>): string =>
  text.replace(/\$(?:(\$)|\(([^()]*)\))/g, (whole, dollar: string | undefined, name: string | undefined) =>
    dollar ? '$' : (variables.get(name ?? '') ?? whole),
  );
