"""The forms of OpenAI's API for texts: chats, completions, tools, and the list of models."""
