package cli

import (
	"io"

	"github.com/spf13/cobra"
)

func newCompletion(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print what lets a shell complete commands and flags",
		Long: `Print what lets a shell complete commands, flags, and names of saved
connections when the tabulator key is pressed.

The one for bash needs the package bash-completion.`,
		Example: `  source <(wirebird completion bash)
  wirebird completion bash > ~/.local/share/bash-completion/completions/wirebird
  wirebird completion zsh > ~/.zfunc/_wirebird
  wirebird completion fish > ~/.config/fish/completions/wirebird.fish`,
		ValidArgs: []string{"bash", "zsh", "fish"},
		Args:      oneShell,
		RunE: func(cmd *cobra.Command, args []string) error {
			return map[string]func(io.Writer) error{
				"bash": func(w io.Writer) error { return cmd.Root().GenBashCompletionV2(w, true) },
				"zsh":  cmd.Root().GenZshCompletion,
				"fish": func(w io.Writer) error { return cmd.Root().GenFishCompletion(w, true) },
			}[args[0]](s.out)
		},
	}
}

func oneShell(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		for _, shell := range cmd.ValidArgs {
			if args[0] == shell {
				return nil
			}
		}
		return misused("there is no completion for %q; there is one for bash, zsh and fish.", args[0])
	}
	return misused("want the name of one shell, as: wirebird completion bash.")
}
