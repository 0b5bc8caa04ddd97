"""A small bank that the test suites share: generated messages, and handlers of every kind over them.

The generated code comes from ``tests/bank/protos``::

    python -m grpc_tools.protoc -I tests/bank/protos --python_betterproto_out=tests/bank/messages \\
        tests/bank/protos/bank/bank.proto

(the plugin empties ``tests/bank/messages/__init__.py``; keep ours).
"""
